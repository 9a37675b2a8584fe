#!/usr/bin/env bash
# pandas 3.1.1, pandas-read-xml 0.3.1, xml-to-df 0.0.6: tables of FIXML positions hold no position.
#
# A position report names its parties and quantities in child elements that repeat, with the data
# in attributes (FIXML 5.0 SP2). read_xml with iterparse, meant for large files, fills each column
# from the last descendant that has the attribute. Report 1, short 40 (SOD), 9 more by transfer
# (TRF) and so short 31 at the end of the day (FIN), becomes one row long 9 and short 31 of type
# FMTM, which is that of an amount, for a party with the contract's code 21 and the role 38.
# fully_flatten makes a row of each combination of parties and quantities of both reports side by
# side: 27 rows, in which report 2 is long 135 instead of 5. xml-to-df makes lists that no longer
# belong together, two longs and two shorts to four types.
# Seen:
#   pandas iterparse:  1 ZN ID 21 R 38 Typ FMTM Long 9 Short 31
#   pandas iterparse:  2 ZF ID 25 R 38 Typ FIN Long 5 Short nan
#   pandas-read-xml:   27 rows, long of report 1 81, of report 2 135
#   xml-to-df:         Typ ['SOD', 'TRF', 'FIN', 'FIN'], Long ['9', '5'], Short ['40', '31']
#   pandas xpath Qty:  4 rows, long of both reports 14, columns Typ, Short, Long
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pandas==3.1.1 lxml==6.1.3 pyarrow==26.0.1 pandas-read-xml==0.3.1 xml-to-df==0.0.6
cd "$work"
cat > positions.xml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<FIXML v="5.0 SP2" xmlns="http://www.fixprotocol.org/FIXML-5-0-SP2">
  <Batch>
    <PosRpt RptID="1" BizDt="2026-11-30">
      <Pty ID="CME" R="21"/><Pty ID="345" R="4"/><Pty ID="A12" R="38"/>
      <Instrmt Sym="ZN" ID="21" MMY="202703"/>
      <Qty Typ="SOD" Short="40"/><Qty Typ="TRF" Long="9"/><Qty Typ="FIN" Short="31"/>
      <Amt Typ="FMTM" Amt="-1250.50"/>
    </PosRpt>
    <PosRpt RptID="2" BizDt="2026-11-30">
      <Pty ID="CME" R="21"/><Pty ID="345" R="4"/><Pty ID="B34" R="38"/>
      <Instrmt Sym="ZF" ID="25" MMY="202703"/>
      <Qty Typ="FIN" Long="5"/>
    </PosRpt>
  </Batch>
</FIXML>
XML
"$work/venv/bin/python" -W ignore - <<'PY'
import pandas
import pandas_read_xml
import xml_to_df

columns = ["RptID", "Sym", "ID", "R", "Typ", "Long", "Short"]
table = pandas.read_xml("positions.xml", iterparse={"PosRpt": columns})[columns]
seen = []
for report, sym, party, role, type_, long, short in table.itertuples(index=False):
    seen.append(f"{report} {sym} ID {party} R {role} Typ {type_} Long {long:g} Short {short:g}")
    print("pandas iterparse: ", seen[-1])
flat = pandas_read_xml.fully_flatten(pandas_read_xml.read_xml("positions.xml", ["FIXML", "Batch", "PosRpt"]))
sums = [len(flat), *(int(flat[f"{i}|Qty|@Long"].astype(float).sum()) for i in range(2))]
print("pandas-read-xml:   {} rows, long of report 1 {}, of report 2 {}".format(*sums))
lists = xml_to_df.convert_xml_to_df("positions.xml")
found = [next(lists[c].iloc[0] for c in lists if c.endswith(f"Qty_{name}")) for name in ("Typ", "Long", "Short")]
print("xml-to-df:         Typ {}, Long {}, Short {}".format(*found))
fixml = {"f": "http://www.fixprotocol.org/FIXML-5-0-SP2"}
each = pandas.read_xml("positions.xml", xpath="//f:Qty", namespaces=fixml)
total = each["Long"].sum()
print(f"pandas xpath Qty:  {len(each)} rows, long of both reports {total:g}, columns {', '.join(each.columns)}")
wanted = ["1 ZN ID 21 R 38 Typ FMTM Long 9 Short 31", "2 ZF ID 25 R 38 Typ FIN Long 5 Short nan"]
misaligned = [["SOD", "TRF", "FIN", "FIN"], ["9", "5"], ["40", "31"]]
raise SystemExit(seen != wanted or sums != [27, 81, 135] or found != misaligned or (len(each), total) != (4, 14))
PY
