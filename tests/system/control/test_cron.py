"""pg_cron beside the extension: a job asks for runs, the workers do them."""

import pytest
from harness import Cluster, Database, wait_for

pytestmark = pytest.mark.minutes


@pytest.fixture
def cron(shop):
    """A cluster with both libraries; pg_cron lives in the database `contabilidad`."""
    settings = {"shared_preload_libraries": "pg_cron,pg_insync", "cron.database_name": "contabilidad", "cron.use_background_workers": "on"}
    with Cluster("cron", settings) as cluster:
        cluster.create_database("contabilidad")
        db = Database(cluster, "contabilidad")
        db.execute("CREATE EXTENSION pg_cron")
        db.create_server("tienda", **shop.server_options())
        db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
        yield db
        db.close()


def test_pg_cron_triggers_a_stream(cron):
    cron.execute("SELECT cron.schedule('ventas', '* * * * *', $$SELECT sync_trigger('ventas')$$)")
    wait_for(lambda: cron.value("SELECT count(*) FROM ventas") == 5, "the job's run", timeout=130)
    status = wait_for(
        lambda: cron.query("SELECT status, return_message FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"), "the job's end"
    )
    assert status[0][0] == "succeeded", status
    assert cron.value("SELECT trigger FROM insync.run ORDER BY id LIMIT 1") == "request"
