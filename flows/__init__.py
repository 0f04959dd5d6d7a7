"""When what runs: four flows, each of which reads like its diagram. The work is done in `tasks` and `tenarai`."""

import logging

from tenarai.orchestration.runs import log_expected_errors_in_one_line

logging.getLogger("tenarai").setLevel(logging.INFO)  # Prefect shows our log, but leaves its level at warnings
log_expected_errors_in_one_line()
