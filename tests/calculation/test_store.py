from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.calculation.store import TYPES, stage_bytes, stage_from_bytes
from crossmargin.exceptions import InputError
from crossmargin.io.values import MAGIC, SIZE, packed, unpacked
from crossmargin.market.curve import Curve
from crossmargin.sample import sample_tables

POLICIES = Path(__file__).resolve().parents[2] / "docs/policies"
TABLES = ("accounts", "components", "breakdown", "positions", "baskets", "exceptions")


def run_of(policy: str | Path | None) -> xm.RunResult:
    tables = sample_tables(accounts=30)
    return xm.run(
        positions=tables["positions"],
        accounts=tables["accounts"],
        securities=tables["securities"],
        market=xm.sample_market(),
        policy=policy,
    )


@pytest.fixture(
    scope="module",
    params=[
        None,
        "cme-ficc-2026-04-30",
        "cme-ficc-2026-11-30-span",
        "cme-ficc-2026-11-30-charges",
        POLICIES / "example-class-disallowance.toml",
        POLICIES / "example-third-ccp.toml",
    ],
    ids=["default", "first", "span", "charges", "classes", "third"],
)
def run(request: pytest.FixtureRequest) -> xm.RunResult:
    return run_of(request.param)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal to the bit, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.kind == "O":
            return bool(one.tolist() == other.tolist())
        return one.tobytes() == other.tobytes()
    if dataclasses.is_dataclass(one):
        names = [f.name for f in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, pa.Table | pa.Array):
        return bool(one.equals(other))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def test_every_stage_comes_back_to_the_bit(run: xm.RunResult) -> None:
    assert run.stages is not None
    for field in dataclasses.fields(run.stages):
        stage = getattr(run.stages, field.name)
        if field.name in ("models", "kept"):
            with pytest.raises(TypeError, match="cannot be kept"):
                stage_bytes(stage)
            continue
        assert same(stage_from_bytes(stage_bytes(stage)), stage), field.name


def test_a_run_is_read_with_its_stages_and_goes_on_from_them(
    run: xm.RunResult, tmp_path: Path
) -> None:
    read = xm.read_run(xm.write_run(run, tmp_path / "run"))
    assert read.manifest["results"] == run.manifest["results"]
    for name in TABLES:
        assert getattr(read, name).to_arrow().equals(getattr(run, name).to_arrow())
    account = run.accounts["account"][3].as_py()
    asked = [xm.Session(one).what_if(account, {"ZNU26": -5}) for one in (run, read)]
    assert asked[0] == asked[1]
    # Once more to a directory of results: nothing is lost.
    again = xm.read_run(xm.write_run(read, tmp_path / "run"))
    assert again.manifest == read.manifest


def test_a_market_move_is_kept_too(tmp_path: Path) -> None:
    run = run_of(None)
    assert run.stages is not None
    market = run.stages.models.market
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.01))
    after = xm.rerun(run, moved)
    assert after.manifest["results"] != run.manifest["results"]
    read = xm.read_run(xm.write_run(after, tmp_path / "run"))
    account = run.accounts["account"][3].as_py()
    asked = [xm.Session(one).what_if(account, {"ZNU26": -5}) for one in (after, read)]
    assert asked[0] == asked[1]
    back = xm.rerun(after, market)
    for name in TABLES:
        assert back.manifest["results"][name] == run.manifest["results"][name]


def test_without_stages_the_tables_are_read(tmp_path: Path) -> None:
    run = run_of(None)
    read = xm.read_run(run.write(tmp_path / "run"))
    assert read.stages is None
    with pytest.raises(ValueError, match="no stages"):
        xm.write_run(read, tmp_path / "other")
    with pytest.raises(ValueError, match="no stages"):
        xm.rerun(read, xm.sample_market())


def test_changed_stages_are_refused(tmp_path: Path) -> None:
    out = xm.write_run(run_of(None), tmp_path / "run")
    file = out / "stages.bin"
    data = file.read_bytes()
    file.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(InputError, match=r"stages\.bin: was changed after the run"):
        xm.read_run(out)
    file.unlink()
    with pytest.raises(InputError, match=r"stages\.bin"):
        xm.read_run(out)


def test_models_that_come_out_otherwise_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = xm.write_run(run_of(None), tmp_path / "run")
    # As if a later version had another rule for the scenarios.
    monkeypatch.setattr(
        "crossmargin.market.history.History.zero_rate_change",
        lambda self, horizon: 2.0 * (self.zero_rate[horizon:] - self.zero_rate[:-horizon]),
    )
    with pytest.raises(InputError, match="models are not those of the run; run the book again"):
        xm.read_run(out)


def test_stages_of_another_run_are_refused(tmp_path: Path) -> None:
    one, other = (xm.write_run(run_of(None), tmp_path / name) for name in "ab")
    shutil.copy(other / "stages.bin", one / "stages.bin")
    said = describe(one, other / "stages.bin")
    (one / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="is of another run than the tables"):
        xm.read_run(one)


def describe(folder: Path, file: Path) -> dict[str, Any]:
    """Return a manifest that says a file is the run's own."""
    said: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    data = file.read_bytes()
    said["files"]["stages.bin"] = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return said


@pytest.mark.parametrize("name", ["run_id", "as_of", "cycle", "synthetic"])
def test_a_manifest_must_say_what_a_result_shows(name: str, tmp_path: Path) -> None:
    out = run_of(None).write(tmp_path / "run")
    said = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**said, name: None}))
    with pytest.raises(InputError, match=f"manifest.json lacks {name}"):
        xm.read_run(out)


def test_stages_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    run = run_of(None)
    stages = run.stages
    assert stages is not None
    clients = dataclasses.replace(stages.clients, eligible=stages.clients.eligible[1:])
    trades = dataclasses.replace(stages.parsed.trades, row=stages.parsed.trades.row[:-1])
    parsed = dataclasses.replace(stages.parsed, trades=trades)
    far = dataclasses.replace(stages.netted.legs, instrument=stages.netted.legs.instrument + 2**40)
    netted = dataclasses.replace(stages.netted, legs=far)
    for change in ({"clients": clients}, {"netted": netted}, {"parsed": parsed}):
        changed = dataclasses.replace(stages, **change)
        out = xm.write_run(dataclasses.replace(run, stages=changed), tmp_path / "run")
        if "parsed" in change:
            xm.read_run(out)
            continue
        with pytest.raises(InputError, match="its stages do not fit together"):
            xm.read_run(out)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="result: a run"):
        xm.write_run("run", tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="result: a run"):
        xm.rerun(None, xm.sample_market())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="market: a Market"):
        xm.rerun(run_of(None), "2026-06-10")  # type: ignore[arg-type]


def file_of(tree: object, *blobs: tuple[str, list[int], bytes]) -> bytes:
    """Return a file with this tree and these arrays."""
    described = [[dtype, shape, len(data)] for dtype, shape, data in blobs]
    header = json.dumps({"tree": tree, "blobs": described}).encode()
    data = (data for _, _, data in blobs)
    return packed(b"".join((len(header).to_bytes(SIZE, "little"), header, *data)))


EIGHT = ("|u1", [8], bytes(8))


def test_a_small_file_does_not_fill_the_memory() -> None:
    assert stage_from_bytes(file_of({"blob": 0}, EIGHT)).tolist() == [0] * 8
    with pytest.raises(InputError):
        stage_from_bytes(file_of({"list": [{"blob": 0}, {"blob": 0}]}, EIGHT))


def test_numbers_that_take_fewer_bytes_count_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossmargin.io.limits.SMALL", 80_000)
    monkeypatch.setattr("crossmargin.io.limits.MAX_RATIO", 1)
    few, many = ([("<i8", [500], bytes(500))] * times for times in (19, 20))
    tree = {"list": [{"blob": number} for number in range(19)]}
    assert len(stage_from_bytes(file_of(tree, *few))) == 19
    # None of them has to be asked for.
    with pytest.raises(InputError, match=r"^stage: unpacks to more than 80,000 bytes"):
        stage_from_bytes(file_of(tree, *many))


@pytest.mark.parametrize("shape", [[9], [-8], [-2, -4], [2**70, 8], [8.0], [True] * 8, 8, None])
def test_an_array_has_the_shape_of_its_bytes(shape: Any) -> None:
    with pytest.raises(InputError):
        stage_from_bytes(file_of({"blob": 0}, ("<i8", shape, bytes(8))))


@pytest.mark.parametrize("dtype", ["O", "|V8", ",M8[D]", "<U2", "f8,f8", "(2,)f8", ""])
def test_only_plain_arrays_are_made(dtype: str) -> None:
    with pytest.raises(InputError):
        stage_from_bytes(file_of({"blob": 0}, (dtype, [8], bytes(8))))
    with pytest.raises(InputError):
        stage_from_bytes(file_of({"date": [dtype, "2026-01-02"]}))


@pytest.mark.parametrize("root", [5, None, {"list": []}, {"float": "0x1p0"}])
def test_fields_of_another_type_are_refused(root: object) -> None:
    name = "crossmargin.instruments.contracts.Contract"
    month = {"date": ["<M8[M]", "2026-06"]}
    assert stage_from_bytes(file_of({"type": [name, "ZN", month]})).root == "ZN"
    with pytest.raises(InputError, match=r"Contract\.root of another type"):
        stage_from_bytes(file_of({"type": [name, root, month]}))


SMALL = stage_bytes((1, "a", np.array([1.5]), {"k": [np.datetime64("2026-01-02"), None]}))


def test_small_values_come_back() -> None:
    number, text, array, names = stage_from_bytes(SMALL)
    assert (number, text, array.tolist()) == (1, "a", [1.5])
    assert names == {"k": [np.datetime64("2026-01-02"), None]}


def test_damaged_bytes_are_a_value_or_refused() -> None:
    # Every bit: a few of them ended the process, or were read by NumPy as a program.
    content = bytes(unpacked(SMALL, label="stage"))
    for whole, file in ((SMALL, bytes), (content, packed)):
        for at in range(len(whole)):
            for bit in range(8):
                data = bytearray(whole)
                data[at] ^= 1 << bit
                with suppress(InputError):
                    stage_from_bytes(file(bytes(data)))


def test_a_cut_file_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(InputError):
            stage_from_bytes(SMALL[:length])
    content = bytes(unpacked(SMALL, label="stage"))
    for length in range(len(content)):
        with pytest.raises(InputError):
            stage_from_bytes(packed(content[:length]))


@pytest.mark.parametrize("size", [0, 1, 2**25, 2**40, 2**63, 2**64 - 1])
def test_a_size_that_is_not_the_content_s_is_refused(size: int) -> None:
    begin = len(MAGIC)
    data = SMALL[:begin] + size.to_bytes(SIZE, "little") + SMALL[begin + SIZE :]
    with pytest.raises(
        InputError, match="^stage: unpacks to more" if size > 2**25 else "as a run wrote"
    ):
        stage_from_bytes(data)


def test_stages_take_a_tenth_of_their_size() -> None:
    data = stage_bytes(run_of(None).stages.parsed)  # type: ignore[union-attr]
    assert len(data) < len(unpacked(data, label="stage")) / 10


@pytest.mark.parametrize(
    "value",
    [object(), {1: object()}, np.array([object()]), np.array([1 + 2j]), b"bytes"],
)
def test_what_no_stage_holds_cannot_be_kept(value: object) -> None:
    with pytest.raises((TypeError, AttributeError)):
        stage_bytes(value)


WHOLE = st.sampled_from(["i1", "i2", "i4", "i8", "M8[D]", "M8[s]"]).flatmap(
    lambda kind: st.lists(
        st.sampled_from([8, 16, 32, 64]).flatmap(
            lambda bits: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        ),
        max_size=4,
    ).map(
        lambda numbers: np.array(numbers, "<i8").astype(f"<i{np.dtype(kind).itemsize}").view(kind)
    )
)


@given(WHOLE)
def test_whole_numbers_and_dates_come_back_from_fewer_bytes(array: npt.NDArray[Any]) -> None:
    for shaped in (array, array.reshape(1, -1), array.reshape(-1, 1), array[::-1]):
        back = stage_from_bytes(stage_bytes(shaped))
        assert back.dtype == array.dtype
        assert back.shape == shaped.shape
        assert back.tobytes() == shaped.tobytes()


def test_small_numbers_take_a_byte_each() -> None:
    plain, wide = (
        len(unpacked(stage_bytes(np.full(1000, number)), label="stage")) for number in (127, 2**40)
    )
    assert wide - plain == 7 * 1000


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_column_of_texts_is_kept_as_the_json_of_its_list(texts: list[str | None]) -> None:
    for column in (pa.array(texts, pa.string()), pa.chunked_array([texts, texts], pa.string())):
        data = stage_bytes(column)
        assert bytes(unpacked(data, label="stage")).endswith(
            json.dumps(column.to_pylist()).encode()
        )
        assert stage_from_bytes(data).to_pylist() == column.to_pylist()


def test_only_types_of_ours_are_made() -> None:
    from crossmargin.io.values import from_bytes, to_bytes

    @dataclasses.dataclass(frozen=True)
    class Foreign:
        number: int

    data = to_bytes(Foreign(1), [Foreign])
    with pytest.raises(InputError, match="KeyError"):
        from_bytes(data, TYPES, label="file")
    assert all(kind.__module__.startswith("crossmargin.") for kind in TYPES)
