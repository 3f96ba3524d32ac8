"""Where the suite's own files are, in a checkout and in an installed package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parent  # the checkout, or the folder that the package is installed in
PROBES = PACKAGE / "probes"
PYTEST_SETTINGS = PACKAGE / "pytest_plugin" / "pytest.toml"
_PACKAGED = PACKAGE / "_reference"  # the wheel has the reference here, the checkout beside us
REFERENCE_FOLDER = _PACKAGED if _PACKAGED.is_dir() else PROJECT
REFERENCE_APP = "reference_impl.app:app"
REFERENCE_WORKER = "reference_impl.tasks:celery_app"
