"""Publishing on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from metrify_assets.errors import PublishError
from metrify_assets.published.catalog import Catalog, read_catalog
from metrify_assets.published.publish import NO_MARTS
from metrify_assets.settings import Settings


def publish_now(settings: Settings, *, everything: bool = False, verbose: bool = False) -> Catalog:
    """Run the ``publish`` job and return what is published then.

    Raises
    ------
    PublishError
        If the marts are not built yet, or none of them is published then.
    RunError
        If the run fails.
    """
    from metrify_assets.orchestration.assets.published import PUBLISHED_MARTS
    from metrify_assets.orchestration.automation.jobs import PUBLISH_JOB
    from metrify_assets.orchestration.foreground import run_job
    from metrify_assets.platform import Platform
    from metrify_assets.warehouse.warehouses import warehouse_of

    if not warehouse_of(settings).exists:
        raise PublishError(NO_MARTS)
    config = {"ops": {PUBLISHED_MARTS: {"config": {"everything": everything}}}}
    run_job(settings, PUBLISH_JOB, verbose=verbose, run_config=config)
    catalog = read_catalog(Platform(settings).store)
    if catalog is None:
        raise PublishError(NO_MARTS)
    return catalog
