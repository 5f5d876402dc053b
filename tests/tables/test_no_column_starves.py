"""In a wide mixed table, the model learns every column: given the others, each is more probable than by itself."""

import numpy as np
import pandas as pd

from isthmus import VAE

N, N_TEST, N_FACTORS = 500, 80, 3


def wide_table():
    """Return 30 columns that depend on three factors, in units from 0.01 to 100, and one that depends on nothing."""
    r = np.random.default_rng(0)
    n = N + N_TEST
    z = r.normal(size=(n, N_FACTORS))
    factor = [z[:, i % N_FACTORS] for i in range(10)]
    columns = {"alone": r.normal(size=n).round(3)}
    for i in range(10):
        noise = (0.3 + 0.05 * i) * r.normal(size=n)
        columns[f"number{i}"] = 10.0 ** (i % 5 - 2) * (factor[i] + 0.5 * factor[i + 1 if i < 9 else 0] + noise)
    for i in range(4):
        amount = np.exp(factor[i + 1] + 0.5 * r.normal(size=n)).round(2)
        columns[f"amount{i}"] = np.where(r.random(n) < 1 / (1 + np.exp(-2 * factor[i])), 0.0, amount)
        columns[f"count{i}"] = r.poisson(30 * np.exp(0.5 * factor[i]))
    for i, k in enumerate((2, 3, 5, 8, 12, 20, 30, 60)):
        level = np.clip(((factor[i] + 0.5 * r.normal(size=n)) * k / 5 + k / 2).astype(int), 0, k - 1)
        columns[f"kind{i}"] = np.array([f"level {j}" for j in range(k)])[level]
    for i in range(2):
        days = (180 + 90 * factor[i] + 20 * r.normal(size=n)).astype(int)
        columns[f"day{i}"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")
        columns[f"flag{i}"] = factor[i] + 0.5 * r.normal(size=n) > 1.0
    table = pd.DataFrame(columns)
    known = table["kind7"].isin(table["kind7"][:N])  # a few of its 60 levels are rare
    return table[:N], table[N:][known[N:]].reset_index(drop=True)


def log_p_alone(model, train, test):
    """Return the mean log p of each column by itself: frequencies of levels, and normal scores that are normal."""
    codec, levels = model._codec, model.model_.likelihood.level_columns().numpy()
    known, new = codec.encode(train), codec.encode(test)
    jacobian = codec.log_det(new)
    found = {}
    for column, own in zip(codec.names, codec.matrix_columns(), strict=True):
        total = np.zeros(len(new))
        for j in own:
            a, b = known[:, j][~np.isnan(known[:, j])], new[:, j]
            if levels[j]:
                count = np.bincount(a.astype(int), minlength=int(np.nanmax(b)) + 1) + 0.5
                own_log_p = np.log(count / count.sum())[np.nan_to_num(b).astype(int)]
            else:
                own_log_p = (
                    -0.5 * ((b - a.mean()) / a.std()) ** 2 - np.log(a.std()) - 0.5 * np.log(2 * np.pi) + jacobian[:, j]
                )
            total += np.where(np.isnan(b), 0.0, own_log_p)
        found[column] = total.mean()
    return found


def test_each_column_is_more_probable_given_the_others():
    train, test = wide_table()
    model = VAE(4, hidden_layer_sizes=16, max_epochs=25, n_draws=10, random_state=0).fit(train)
    given, alone = model.score_features(test).mean(), log_p_alone(model, train, test)
    gain = {name: given[name] - alone[name] for name in train}
    assert len(gain) == 31
    assert abs(gain.pop("alone")) < 0.2  # there is nothing to learn
    assert min(gain.values()) > 0.05, gain
