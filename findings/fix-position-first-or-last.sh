#!/usr/bin/env bash
# simplefix 1.0.17, fixcore-engine 0.15.0, mkfix 0.90.0, fixtranslator 0.1.2: one position of three.
#
# A FIX 5.0 SP2 position report (35=AP) repeats the quantities 704 and 705 for each type of
# position (703), and the parties for each role. Asked for LongQty, simplefix answers with the
# first of the group, here the start of day, the others with the last, here the end of day, and the
# account of the last party; none says that there are more. fixcore has the group once it is given
# a dictionary. Without one, as decode() is by default, it writes the message back with one
# position and one party left and yet 702=3 and 453=3, under a correct check sum. fixtranslator
# finds no error in strict mode.
# Seen:
#   library                LongQty  PosType  PartyID
#   simplefix              100      SOD      CME
#   fixcore                107      FIN      A12
#   mkfix                  107      FIN      A12
#   fixtranslator          107      FIN      A12
#   fixcore, dictionary    [('SOD', '100'), ('TQ', '7'), ('FIN', '107')]
#   fixcore writes back    453=3 448=A12 447=D 452=38 702=3 703=FIN 704=107 705=40
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    simplefix==1.0.17 fixcore-engine==0.15.0 mkfix==0.90.0 fixtranslator==0.1.2 defusedxml==0.7.1
"$work/venv/bin/python" -W ignore - <<'PY'
import simplefix
from fixcore.message import Message
from fixcore.message.data_dictionary import load_combined_data_dictionary
from fixparser.parser import parse_fix_message
from mkfix.fix.message import parse_fix

PARTIES = "453=3|448=CME|447=D|452=21|448=345|447=D|452=4|448=A12|447=D|452=38"
POSITIONS = "702=3|703=SOD|704=100|705=40|703=TQ|704=7|705=0|703=FIN|704=107|705=40"
HEAD = "35=AP|49=CME|56=FIRM|34=2|52=20261130-22:00:00.000|721=R1|728=0|715=20261130|581=1"
body = f"{HEAD}|{PARTIES}|55=ZN|167=FUT|200=202703|{POSITIONS}|".replace("|", "\x01")
text = f"8=FIXT.1.1\x019={len(body)}\x01{body}"
text += f"10={sum(text.encode()) % 256:03}\x01"
TAGS = 704, 703, 448

parser = simplefix.FixParser()
parser.append_buffer(text.encode())
message = parser.get_message()
plain = Message.decode(text.encode())
named, strict = parse_fix(text), parse_fix_message(text, strict=True)
rows = {
    "library": ["LongQty", "PosType", "PartyID"],
    "simplefix": [message.get(tag).decode() for tag in TAGS],
    "fixcore": [plain.get(tag) for tag in TAGS],
    "mkfix": [named.get(str(tag)) for tag in TAGS],
    "fixtranslator": [strict["parsed_by_tag"][str(tag)]["value"] for tag in TAGS],
}
for library, answers in rows.items():
    print(f"{library:22} {answers[0]:8} {answers[1]:8} {answers[2]}")
whole = Message.decode(text.encode(), load_combined_data_dictionary("FIXT11.xml", "FIX50SP2.xml"))
group = [(position.get_field(703), position.get_field(704)) for position in whole.get_groups(702)]
print(f"{'fixcore, dictionary':22} {group}")
written = plain.encode().decode()
Message.decode(written.encode())  # raises if the length or the check sum is wrong
kept = " ".join(x for x in written.split("\x01") if x.split("=")[0] in "453 448 447 452 702 703 704 705".split())
print(f"{'fixcore writes back':22} {kept}")
first, last = ["100", "SOD", "CME"], ["107", "FIN", "A12"]
wrong = list(rows.values())[1:] != [first, last, last, last] or bool(strict["errors"])
wrong = wrong or group != [("SOD", "100"), ("TQ", "7"), ("FIN", "107")]
raise SystemExit(wrong or kept != "453=3 448=A12 447=D 452=38 702=3 703=FIN 704=107 705=40")
PY
