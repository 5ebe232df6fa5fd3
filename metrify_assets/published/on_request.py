"""Publishing on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from metrify_assets.errors import PublishError
from metrify_assets.published.catalog import Catalog, read_catalog
from metrify_assets.published.publish import NO_MARTS
from metrify_assets.settings import Settings


def publish_now(settings: Settings, *, everything: bool = False) -> Catalog:
    """Run the ``publish`` job and return what is published then.

    Raises
    ------
    PublishError
        If the marts are not built yet, or the run fails.
    """
    from metrify_assets.assets.published import PUBLISHED_MARTS
    from metrify_assets.automation.jobs import PUBLISH_JOB
    from metrify_assets.build import build_defs
    from metrify_assets.home import open_instance, prepare_home, run_here
    from metrify_assets.platform import Platform
    from metrify_assets.resources.warehouses import warehouse_of

    if not warehouse_of(settings).exists:
        raise PublishError(NO_MARTS)
    prepare_home(settings)
    job = build_defs(settings).resolve_job_def(PUBLISH_JOB)
    config = {"ops": {PUBLISHED_MARTS: {"config": {"everything": everything}}}}
    with open_instance(settings) as instance:
        result = run_here(instance, job, run_config=config)
    catalog = read_catalog(Platform(settings).store)
    if not result.success or catalog is None:
        raise PublishError(f"run {result.run_id} failed: read it with `make dev`, page Runs")
    return catalog
