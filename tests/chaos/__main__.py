"""./dev chaos [--rounds N] [--seed S] [--fault NAME] [--keep]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.main import main  # noqa: E402

sys.exit(main())
