"""A hospital's machine has no network: the whole road runs with every socket of every process closed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.medical.planted import film, picture, saved

BLOCKED = """
import os, socket

def refuse(*arguments, **options):
    with open(os.environ["TRIED"], "a") as tried:
        tried.write(f"{arguments}\\n")
    raise OSError("no network")

class Closed(socket.socket):
    def connect(self, address):
        return super().connect(address) if self.family == socket.AF_UNIX else refuse(address)
    connect_ex = connect

socket.socket, socket.getaddrinfo, socket.create_connection = Closed, refuse, refuse
"""
ROAD = """
import sys
from plait.cli import main

if __name__ == "__main__":
    for line in sys.stdin.read().splitlines():
        code = main(line.split())
        assert code == 0, (line, code)
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80))
    except OSError as error:
        assert str(error) == "no network"
    print("all done")
"""
COMMANDS = """
medical deidentify films clean --key key
medical ingest generic-folder films --out pairs.parquet --workers 2
medical check-leakage pairs.parquet
medical pretrain convirt --pairs pairs.parquet --out run --max-steps 2 --set data.image_size=32
medical evaluate run --pairs pairs.parquet --out evaluation
medical embed run --pairs pairs.parquet --out embeddings.parquet
recipes
""".strip()


def test_from_dicom_and_text_to_a_report_without_a_network(tmp_path: Path) -> None:
    for number in range(12):
        uid = f"1.2.826.0.1.3680043.9.7133.{number}"
        dataset = film(picture(seed=number), PatientID=f"p{number}", StudyInstanceUID=uid, SOPInstanceUID=f"{uid}.1")
        saved(dataset, tmp_path / "films" / f"p{number}_a.dcm")
        said = f"FINDINGS: The heart is normal in size. Rib {number} is intact.\nIMPRESSION: No acute disease.\n"
        (tmp_path / "films" / f"p{number}_a.txt").write_text(said)
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    (tmp_path / "road.py").write_text(ROAD)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "TRIED": str(tmp_path / "tried")}
    environment.pop("HF_HUB_OFFLINE", None)
    ended = subprocess.run(
        [sys.executable, "road.py"],
        input=COMMANDS, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "all done" in ended.stdout
    tried = (tmp_path / "tried").read_text().splitlines()
    assert tried == ["(('192.0.2.1', 80),)"], "nothing but this test's own trial"
    assert (tmp_path / "evaluation" / "report.html").stat().st_size > 0
