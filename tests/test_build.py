"""`build` as a whole: the same bytes every time, and an output folder that is never half done."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites.build import selected
from invites.errors import StorageError, TryAgainError, UsageError
from invites.invitation import Invitation
from invites.model import Roster, Status
from tests.factory import START, Factory
from tests.support import COMMAND, NOW, ROOT, SAMPLE, Answer, write_settings

Invites = Callable[..., Answer]


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder by their path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, from the project's root."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environ},
        check=False,
        timeout=120,
    )


def test_the_same_roster_settings_and_now_give_the_same_bytes(tmp_path: Path) -> None:
    """Under another name of the folder, in other zones, locales and hash seeds, at another time."""
    call = ("build", SAMPLE, "--config", write_settings(tmp_path), "--now", NOW)
    one = run(*call, "--out", tmp_path / "one", TZ="Asia/Kathmandu", PYTHONHASHSEED="1", LC_ALL="C")
    other = run(
        *call,
        "--out",
        tmp_path / "an other",
        TZ="America/St_Johns",
        PYTHONHASHSEED="4242",
        LC_ALL="C.UTF-8",
        LANG="de_DE.UTF-8",
    )
    assert (one.returncode, other.returncode) == (0, 0)
    assert tree(tmp_path / "one") == tree(tmp_path / "an other")
    assert len(tree(tmp_path / "one")) > 60


def test_source_date_epoch_stands_in_for_the_clock(
    tmp_path: Path, invites: Invites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree is that of `--now` with the same instant."""
    config = write_settings(tmp_path)
    call = ("build", SAMPLE, "--config", config, "-q", "--out")
    assert invites(*call, "one", "--now", NOW).code == 0
    seconds = int(datetime.fromisoformat(NOW).timestamp())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))
    assert invites(*call, "two").code == 0
    assert tree(Path("one")) == tree(Path("two"))


@pytest.mark.parametrize("form", ["files", "mbox", "tar"])
def test_the_order_of_rows_changes_no_message(tmp_path: Path, invites: Invites, form: str) -> None:
    """A shuffled roster gives the same messages and calendar files, and the same manifest."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    random.Random(7).shuffle(rows)  # noqa: S311 - any order does
    with (tmp_path / "shuffled.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    call = ("--config", write_settings(tmp_path), "--now", NOW, "--as", form, "-q", "--out")
    assert invites("build", SAMPLE, *call, "one").code == 0
    assert invites("build", "shuffled.csv", *call, "two").code == 0
    one, two = (
        # The index names the file that was read, which is another one.
        {path: content for path, content in tree(Path(out)).items() if path != "index.html"}
        for out in ("one", "two")
    )
    assert one == two


def test_one_attendee_at_a_time_gives_the_bytes_of_all_at_once(factory: Factory) -> None:
    """What is shared between attendees shows in none of their messages."""
    people = [
        factory.attendee(1, moderator=True, avatar="https://example.org/a.png", user_id="u-1"),
        factory.attendee(2, name="Élodie “É” Exemple", timezone="Asia/Tokyo"),
        factory.attendee(3, name="=?utf-8?q?evil=40x=2Eorg=2C?=", group="staff"),
        factory.attendee(4, features=("recording",), language="de"),
        factory.attendee(5, name="<b>&amp;\"'"),
    ]
    meeting = factory.meeting(*people, description="One.\n\nTwo, <three>.", title="A; b, c")
    together = composed(factory, replace_people=people, meeting_of=meeting)
    alone = [composed(factory, replace_people=[one], meeting_of=meeting)[0] for one in people]
    backwards = composed(factory, replace_people=people[::-1], meeting_of=meeting)[::-1]
    for ours, theirs in ((together, alone), (together, backwards)):
        assert [(one.eml, one.ics) for one in ours] == [(one.eml, one.ics) for one in theirs]


def composed(factory: Factory, *, replace_people: list, meeting_of: object) -> list[Invitation]:
    """Return the messages of these people."""
    composer = factory.composer()
    return list(composer.compose(meeting_of, factory.revision, replace_people))


def test_meetings_that_are_over_or_cancelled_are_left_out(factory: Factory) -> None:
    """Over is end <= now; an over meeting that is cancelled counts as over."""
    hour = timedelta(hours=1)
    meetings = (
        factory.meeting(id="ends now", start=START - hour, end=START),
        factory.meeting(id="running", start=START - hour, end=START + timedelta(seconds=1)),
        factory.meeting(id="off", status=Status.CANCELLED),
        factory.meeting(id="off and over", end=START, start=START - hour, status=Status.CANCELLED),
        factory.meeting(id="perhaps", status=Status.TENTATIVE),
    )
    roster = Roster(source="r.csv", digest="", meetings=meetings, rows_read=5, accepted=5)
    chosen = selected(roster, now=START)
    assert [meeting.id for meeting in chosen.meetings] == ["running", "perhaps"]
    assert (chosen.over, chosen.cancelled) == (2, 1)
    assert not selected(roster, now=START, meeting_ids=["off"]).meetings
    both = selected(roster, now=START, meeting_ids=["perhaps", "running", "ends now"])
    assert [meeting.id for meeting in both.meetings] == ["running", "perhaps"]
    with pytest.raises(UsageError, match=r"r\.csv"):
        selected(roster, now=START, meeting_ids=["off", "nope"])


def big_roster(path: Path, rows: int) -> Path:
    """Write a roster of so many rows, twenty to a meeting."""
    lines = ["meeting_id,title,start,end,name,email"]
    lines += [
        f"m{n // 20},Meeting {n // 20},2031-03-03 09:00,2031-03-03 10:00,Ada {n},a{n}@example.org"
        for n in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("form", ["files", "mbox", "tar"])
def test_several_processes_make_the_bytes_of_one(
    tmp_path: Path, invites: Invites, form: str
) -> None:
    """Meetings of one, of a few and of more than a process takes at once; the same warnings."""
    roster = big_roster(tmp_path / "roster.csv", 200)
    with roster.open("a", encoding="utf-8") as file:
        for number in range(1_200):
            group = "hall" if number < 700 else f"one-{number}"
            file.write(
                f"{group},Talk,2031-03-04 09:00,2031-03-04 10:00,Bob,b{number}@example.org\n"
            )
    config = write_settings(tmp_path)
    call = ("build", roster, "--config", config, "--now", NOW, "--as", form, "--json")
    answers = [
        json.loads(invites(*call, "--out", f"out-{jobs}", "--jobs", jobs).out) for jobs in (1, 2, 3)
    ]
    assert tree(Path("out-1")) == tree(Path("out-2")) == tree(Path("out-3"))
    assert [answer["invitations"] for answer in answers] == [1_400] * 3


def test_a_fault_in_another_process_ends_the_build_as_in_one(
    tmp_path: Path, invites: Invites
) -> None:
    """The same words and exit code, and nothing is left of it."""
    roster = big_roster(tmp_path / "roster.csv", 2_000)
    own = tmp_path / "own"
    own.mkdir()
    (own / "invitation.txt.j2").write_text("{{ link }}\n{{ 1 // (attendee.name != 'Ada 1777') }}")
    call = ("build", roster, "--config", write_settings(tmp_path), "--now", NOW, "--templates", own)
    answers = [invites(*call, "--jobs", jobs) for jobs in (1, 2)]
    assert answers[0].code == answers[1].code == 5
    assert answers[0].err == answers[1].err
    assert "invitation.txt.j2: line 2" in answers[0].err
    assert not Path("out").exists()


def whole_build_at(folder: Path) -> str:
    """Return the DTSTAMP of the build in a folder, each file of whose manifest is there."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert (folder / "index.html").is_file()
    for row in rows:
        assert (folder / row["eml"]).read_bytes().endswith(b"--\r\n")
        assert (folder / row["ics"]).read_bytes().endswith(b"END:VCALENDAR\r\n")
    (stamp,) = {row["dtstamp"] for row in rows}
    return stamp


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_build(
    factory: Factory, tmp_path: Path
) -> None:
    """SIGKILL at random points: one of the two is there, whole, and the next start repairs."""
    out, aside = tmp_path / "out", tmp_path / ".out.invites-old"
    people = [factory.attendee(number) for number in range(20)]
    meetings = [factory.meeting(*people, id=f"m{number}") for number in range(10)]
    composer = factory.composer()

    def build_at(number: int) -> None:
        at = replace(factory.revision, dtstamp=datetime(2030, 1, 1, number, tzinfo=UTC))
        replace(factory, revision=at).build(out, *meetings, composer=composer)

    begun = time.monotonic()
    build_at(0)
    length = time.monotonic() - begun
    last, chance, killed = "2030-01-01T00:00:00Z", random.Random(11), 0  # noqa: S311
    for number in range(1, 21):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                build_at(number)
            os._exit(0)
        time.sleep(chance.uniform(0, 1.3 * length))
        os.kill(child, signal.SIGKILL)
        killed += os.waitpid(child, 0)[1] == signal.SIGKILL
        there = whole_build_at(out if out.exists() else aside)
        assert there in {last, f"2030-01-01T{number:02}:00:00Z"}
        last = there
    assert killed >= 5
    build_at(22)
    assert whole_build_at(out) == "2030-01-01T22:00:00Z"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_build_with_75_and_nothing_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    """What was written is removed, one line says so, and the old build stands."""
    roster = big_roster(tmp_path / "roster.csv", 10_000)
    out = tmp_path / "out"
    out.mkdir()
    building = subprocess.Popen(
        [*COMMAND, "build", roster, "--demo", "--now", NOW, "--out", out, "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Under nohup a child inherits that SIGHUP is ignored, and a build respects it.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    new = tmp_path / ".out.invites-new"
    while building.poll() is None and not any(new.glob("m*")):
        time.sleep(0.002)
    building.send_signal(number)
    said, complained = building.communicate(timeout=60)
    document = json.loads(said)
    assert building.returncode == document["exit_code"] == 75
    assert document["error"] == {"kind": "Stopped", "text": "stopped by a signal; run it again"}
    assert complained == "invites: stopped by a signal; run it again\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "roster.csv"]
    assert list(out.iterdir()) == []


def test_a_file_that_may_not_grow_ends_the_build_in_words(tmp_path: Path) -> None:
    """The limit of the account is met in the middle of an mbox: exit 1, the old build stands."""
    call = ("build", SAMPLE, "--demo", "--now", NOW, "--out", tmp_path / "out")
    assert run(*call).returncode == 0
    before = tree(tmp_path / "out")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    for form in ("mbox", "tar"):
        ended = subprocess.run(
            [*COMMAND, *call, "--as", form],
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=limit,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert "nothing was changed there" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert "Exception" not in ended.stderr
    assert tree(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Return a file system of its own of 400 kB, in a mount namespace that only its user sees."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a file system of its own wants root and unshare (apt-get install util-linux)")
    disk = tmp_path / "disk"
    disk.mkdir()
    return disk


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("mount -t tmpfs -o size=400k small {disk}", "the disk is full"),
        (
            "mount -t tmpfs -o size=4m small {disk} && mkdir {disk}/out && mount -o remount,ro {disk}",
            "the disk is read-only",
        ),
    ],
)
def test_a_full_or_read_only_disk_ends_the_build_in_words(
    small_disk: Path, before: str, words: str
) -> None:
    """Exit 1, one line that says so, and nothing half written."""
    build = " ".join(
        [*COMMAND, "build", str(SAMPLE), "--demo", "--now", NOW, "--out", "{disk}/out"]
    )
    script = f"{before} || exit 99; {build}; echo code=$? $(ls -A {{disk}}/out 2>/dev/null | wc -l)"
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script.format(disk=small_disk)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    if ended.returncode == 99:
        pytest.skip("this machine lets nobody mount")
    assert ended.stdout == "code=1 0\n"
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_two_builds_of_one_folder_end_with_75(
    tmp_path: Path, invites: Invites, factory: Factory
) -> None:
    """The second says so while the first goes on."""
    answers = []

    def second() -> None:
        answers.append(invites("build", SAMPLE, "--demo", "--out", tmp_path / "out"))

    meeting = factory.meeting()
    factory.build(tmp_path / "out", meeting, composer=factory.composer(), on_invitation=second)
    (answer,) = answers
    assert answer.code == 75
    assert "another build is writing there now" in answer.err
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_many_builds_at_once_end_well_or_with_75(factory: Factory, tmp_path: Path) -> None:
    """Whoever comes second is held off; the folder is whole and nothing stands beside it."""
    out = tmp_path / "out"
    people = [factory.attendee(number) for number in range(20)]
    meetings = [factory.meeting(*people, id=f"m{number}") for number in range(10)]
    (tmp_path / ".out.invites-new").mkdir()
    children = []
    for _ in range(12):
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(BaseException):
                try:
                    factory.build(out, *meetings, composer=factory.composer())
                    code = 0
                except TryAgainError:
                    code = 75
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert set(codes) <= {0, 75}
    assert 0 in codes
    assert whole_build_at(out) == "2031-09-03T08:00:00Z"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", ["files", "mbox", "tar"])
def test_all_that_a_build_makes_is_private_under_an_open_umask(
    factory: Factory, tmp_path: Path, form: str
) -> None:
    """Folders 0700, files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        meeting, composer = factory.meeting(), factory.composer()
        factory.build(tmp_path / "above" / "out", meeting, composer=composer, form=form)
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_build_beyond_its_bound_leaves_everything_as_it_was(
    factory: Factory, tmp_path: Path
) -> None:
    """A roster that would fill the disk is refused in words, and the earlier build stays."""
    out = tmp_path / "out"
    people = [factory.attendee(number) for number in range(1, 6)]
    factory.build(out, factory.meeting(), composer=factory.composer())
    before = tree(out)
    with pytest.raises(StorageError, match="the messages take more than 4e-05 GB"):
        factory.build(
            out,
            factory.meeting(*people),
            composer=factory.composer(),
            octets_at_most=40_000,
        )
    assert tree(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


SOME_DATES = """meeting_id,title,start,end,name,email,recurrence,occurrence,status
maths,Maths,2031-03-03 09:00,2031-03-03 09:45,Ada,ada@example.org,weekly x 9,,
maths,Maths,2031-03-17 09:00,2031-03-17 09:45,Bob,bob@example.org,weekly x 7,,
maths,,,,Bob,bob@example.org,,2031-03-24,cancelled
maths,Maths,2031-03-03 09:00,2031-03-03 09:45,Eve,eve@example.org,weekly x 1,,
"""


def test_each_attendee_of_a_series_gets_the_dates_that_one_comes_to(
    tmp_path: Path, invites: Invites
) -> None:
    """From the first to the last of them; who comes to none any more gets nothing."""
    config = write_settings(tmp_path)
    (tmp_path / "roster.csv").write_text(SOME_DATES)
    call = ("build", tmp_path / "roster.csv", "--config", config, "-q", "--verify", "all")
    for form, name in (("files", "one"), ("tar", "two")):
        answer = invites(*call, "--now", NOW, "--as", form, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
    rules = {
        path.stem: [
            line for line in path.read_text().splitlines() if line[:6] in ("RRULE:", "EXDATE")
        ]
        for path in (tmp_path / "one").rglob("*.ics")
    }
    assert len(rules) == 3
    (ada, bob, eve) = (
        next(rules[key] for key in rules if who in key) for who in ("ada", "bob", "eve")
    )
    assert ada == ["RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20310428T090000Z"]
    assert bob == [*ada, "EXDATE:20310324T090000Z"]
    assert eve == []
    later = invites(*call, "--now", "2031-03-04T00:00:00Z", "--out", tmp_path / "three")
    assert later.code == 0
    assert len([*(tmp_path / "three").rglob("*.ics")]) == 2


def test_a_build_for_attendees_of_some_dates_is_adopted_as_it_was_mailed(
    tmp_path: Path, invites: Invites
) -> None:
    """`--record-only` knows each one's dates: nothing is sent after it."""
    config = write_settings(tmp_path)
    roster = tmp_path / "roster.csv"
    roster.write_text(SOME_DATES)
    out = tmp_path / "one"
    assert invites("build", roster, "--config", config, "--now", NOW, "--out", out).code == 0
    call = ("send", roster, "--config", config, "--now", NOW, "--to", "folder")
    adopted = invites(*call, "--new-ledger", "--record-only", out / "manifest.csv")
    assert adopted.code == 0, adopted.err
    again = invites("plan", roster, "--config", config, "--now", NOW, "--json")
    assert (again.code, json.loads(again.out)["actions"]) == (0, [])
