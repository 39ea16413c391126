"""Dagster's webserver: runs, assets, schedules and sensors by GraphQL, on SQLAlchemy Core."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import dagster

from benchmarks.applications.site import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PACKAGES = ("dagster", "dagster_graphql", "dagster_webserver", "dagster_shared")
FIRST = "asset_00"
"""The asset, and ``job_00`` the job, that has as many runs as there are assets."""
WHERE = 'repositoryLocationName: "shelf", repositoryName: "__repository__"'
RUN = """
    id status canTerminate hasReExecutePermission mode rootRunId parentRunId pipelineSnapshotId
    pipelineName repositoryOrigin { id repositoryName } assetSelection { path }
    tags { key value } startTime endTime updateTime creationTime
"""
"""What the table of runs asks for of each."""
STATE = "{ id status ticks(limit: 1) { id status timestamp } runs(limit: 1) { id status } }"
QUERIES = {
    "runs": f"runsOrError(limit: 100) {{ ... on Runs {{ results {{ {RUN} }} }} }}",
    "runs, statistics": (
        "runsOrError(limit: 100) { ... on Runs { results { id stats { ... on RunStatsSnapshot "
        "{ stepsSucceeded materializations startTime endTime } } } } }"
    ),
    "runs, steps": (
        "runsOrError(limit: 100) { ... on Runs { results { id stepStats "
        "{ stepKey status startTime endTime } assets { id key { path } } } } }"
    ),
    "runs, events": (
        "runsOrError(limit: 100) { ... on Runs { results { id eventConnection(limit: 5) "
        "{ events { __typename } cursor } } } }"
    ),
    "runs feed": (
        "runsFeedOrError(limit: 100, view: ROOTS) { ... on RunsFeedConnection { results "
        "{ id runStatus jobName creationTime tags { key value } assetSelection { path } } } }"
    ),
    "runs, count": "runsOrError(limit: 1) { ... on Runs { count results { id } } }",
    "tags": 'runTagsOrError(tagKeys: ["number"]) { ... on RunTags { tags { key values } } }',
    "assets": (
        "assetsOrError { ... on AssetConnection { nodes { id key { path } definition "
        "{ id groupName } assetMaterializations(limit: 1) { runId timestamp } } } }"
    ),
    "asset nodes": (
        "assetNodes { id assetKey { path } groupName dependencyKeys { path } jobNames "
        "assetMaterializations(limit: 1) { runId timestamp metadataEntries { label } } }"
    ),
    "asset nodes, staleness": "assetNodes { id staleStatus staleCauses { reason } }",
    "asset nodes, jobs": "assetNodes { id jobs { id name runs(limit: 1) { id status } } }",
    "asset": (
        f'assetOrError(assetKey: {{path: ["{FIRST}"]}}) {{ ... on Asset {{ id '
        "assetMaterializations(limit: 100) { runId timestamp metadataEntries { label } "
        "runOrError { ... on Run { id status mode } } } } }"
    ),
    "repository": (
        f"repositoryOrError(repositorySelector: {{{WHERE}}}) {{ ... on Repository {{ id "
        "jobs { id name isJob runs(limit: 1) { id status startTime } } } }"
    ),
    "repository, what starts its jobs": (
        f"repositoryOrError(repositorySelector: {{{WHERE}}}) {{ ... on Repository {{ id "
        "jobs { id name schedules { id name } sensors { id name } } } }"
    ),
    "schedules": (
        f"schedulesOrError(repositorySelector: {{{WHERE}}}) {{ ... on Schedules {{ results "
        f"{{ id name pipelineName scheduleState {STATE} }} }} }}"
    ),
    "sensors": (
        f"sensorsOrError(repositorySelector: {{{WHERE}}}) {{ ... on Sensors {{ results "
        f"{{ id name sensorState {STATE} }} }} }}"
    ),
    "schedule": (
        f'scheduleOrError(scheduleSelector: {{{WHERE}, scheduleName: "schedule_00"}}) '
        "{ ... on Schedule { id scheduleState { id ticks "
        "{ id status timestamp runs { id status } } } } }"
    ),
    "instance": "instance { id daemonHealth { id allDaemonStatuses { id healthy } } }",
}  # fmt: skip
"""What the pages of its user interface ask for, and what a client asks for in addition."""

_started: dict[str, Any] = {}


@dagster.definitions
def definitions() -> dagster.Definitions:
    """Return what is served: assets, and a job, a schedule and a sensor for each of them."""
    numbers = range(int(_started["size"].read_text(encoding="utf-8")))
    assets = [_asset(number) for number in numbers]
    jobs = [
        dagster.define_asset_job(f"job_{number:02}", [asset], tags={"number": str(number)})
        for number, asset in enumerate(assets)
    ]
    schedules = [
        dagster.ScheduleDefinition(f"schedule_{number:02}", job=job, cron_schedule="0 0 * * *")
        for number, job in enumerate(jobs)
    ]
    sensors = [
        dagster.SensorDefinition(f"sensor_{number:02}", job=job, evaluation_fn=_skip)
        for number, job in enumerate(jobs)
    ]
    return dagster.Definitions(assets=assets, jobs=jobs, schedules=schedules, sensors=sensors)


def _asset(number: int) -> Any:
    above = [f"asset_{number - 1:02}"] if number else []

    @dagster.asset(name=f"asset_{number:02}", deps=above, group_name=f"group_{number % 2}")
    def asset() -> dagster.MaterializeResult[None]:
        return dagster.MaterializeResult(metadata={"rows": number})

    return asset


def _skip(_: dagster.SensorEvaluationContext) -> dagster.SkipReason:
    return dagster.SkipReason("nothing new")


def start(folder: Path, settings: Mapping[str, Any] | None) -> None:
    """Open the instance that keeps its database files in a folder, and what is served with it."""
    logging.disable(logging.WARNING)
    os.environ.update(DAGSTER_HOME=str(folder), DAGSTER_DISABLE_TELEMETRY="true")
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    if settings is not None:
        import queryscope

        queryscope.install()
    _started.update(
        instance=dagster.DagsterInstance.get(), size=folder / "size.txt", settings=settings
    )


def _served() -> Any:
    """Return the workspace with the definitions, loaded in this process."""
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

    target = LoadableTargetOrigin(module_name=__name__, attribute="definitions")
    origin = InProcessCodeLocationOrigin(target, location_name="shelf")
    return WorkspaceProcessContext(_started["instance"], InProcessWorkspaceLoadTarget(origin))


def seed(size: int) -> None:
    """Run each job once and the first as often as there are jobs; start what starts them.

    The first schedule and the first sensor seem to have started as many runs, the others one.
    """
    instance = _started["instance"]
    _started["size"].write_text(str(size), encoding="utf-8")
    served = _served()
    defs = definitions()
    tags = {".dagster/repository": "__repository__@shelf"}
    runs = []
    for number in (*range(size), *[0] * (size - 1)):
        job = defs.resolve_job_def(f"job_{number:02}")
        done = job.execute_in_process(instance=instance, tags={**job.tags, **tags})
        runs.append(done.run_id)
    location = served.create_request_context().get_code_location("shelf")
    (repository,) = location.get_repositories().values()
    for schedule in repository.get_schedules():
        instance.start_schedule(schedule)
    for sensor in repository.get_sensors():
        instance.start_sensor(sensor)
    for state in instance.all_instigator_state():
        first = state.instigator_name.endswith("_00")
        for number, run in enumerate(runs[:size] if first else runs[:1]):
            instance.create_tick(_tick(state, number, run))


def _tick(state: Any, number: int, run: str) -> Any:
    """Return that a schedule or a sensor has started a run."""
    from dagster._core.scheduler.instigation import TickData, TickStatus

    return TickData(
        state.instigator_origin_id, state.instigator_name, state.instigator_type,
        TickStatus.SUCCESS, timestamp=1e9 + number, run_ids=[run], selector_id=state.selector_id,
    )  # fmt: skip


def log_in() -> Callable[[str], Answer]:
    """Ask as anybody: it knows no users."""
    from dagster_webserver.app import create_app_from_workspace_process_context
    from starlette.testclient import TestClient

    app: Any = create_app_from_workspace_process_context(_served())
    if _started["settings"] is not None:
        import queryscope

        app = queryscope.asgi.Middleware(app, settings=_started["settings"])
    client = TestClient(app)

    def ask(path: str) -> Answer:
        response = client.get(path)
        return Answer(response.status_code, response.content)

    return ask


def endpoints() -> Sequence[Endpoint]:
    """Return the queries."""
    return [
        Endpoint(name, "/graphql?" + urlencode({"query": " ".join(f"{{ {query} }}".split())}))
        for name, query in QUERIES.items()
    ]


def forget() -> None:
    """Nothing is cached beyond a request."""
