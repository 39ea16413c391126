"""A FastAPI application on SQLAlchemy: response models, dependencies, streams, routers, GraphQL."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

import strawberry
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    Session,
    raiseload,
    selectinload,
    sessionmaker,
)
from starlette.concurrency import run_in_threadpool
from strawberry.dataloader import DataLoader
from strawberry.fastapi import BaseContext, GraphQLRouter

from tests.frameworks.volumes import Base, Shelf, Volume

VOLUMES = 12


class ShelfOut(BaseModel):
    """A shelf within a volume's answer."""

    model_config = ConfigDict(from_attributes=True)
    name: str


class VolumeOut(BaseModel):
    """A volume's answer, with its shelf."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    shelf: ShelfOut


class RefusedError(Exception):
    """What the application answers by itself."""


def opened(request: Request):
    """Open a session for one request, in a thread."""
    with request.app.state.sessions() as session:  # sync dependency
        yield session


async def async_opened(request: Request):
    """Open an async session for one request."""
    async with request.app.state.async_sessions() as session:
        yield session


Opened = Annotated[Session, Depends(opened)]
AsyncOpened = Annotated[AsyncSession, Depends(async_opened)]


def counted(session: Opened):
    """Ask in a dependency of a dependency."""
    return session.scalar(select(func.count(Volume.id)))  # sub-dependency


router = APIRouter(prefix="/volumes")


@router.get("/sync", response_model=list[VolumeOut])
def sync_volumes(session: Opened):
    """Return rows whose shelves the response model asks for."""
    return session.scalars(select(Volume)).all()  # sync select


@router.get("/async")
async def async_volumes(session: Opened) -> list[VolumeOut]:
    """Do so in the event loop."""
    return session.scalars(select(Volume)).all()  # async select


@router.get("/loaded")
async def loaded_volumes(session: AsyncOpened) -> list[VolumeOut]:
    """Return rows with their shelves."""
    found = await session.scalars(select(Volume).options(selectinload(Volume.shelf)))
    return found.all()


@router.get("/unloaded")
async def unloaded_volumes(session: AsyncOpened) -> list[VolumeOut]:
    """Return rows whose shelves must not be loaded any more."""
    return (await session.scalars(select(Volume).options(raiseload(Volume.shelf)))).all()


@router.get("/{volume_id}/shelf")
def shelf_of(volume_id: int, session: Opened, count: Annotated[int, Depends(counted)]):
    """Look one volume up."""
    found = session.get(Volume, volume_id)  # look-up
    if found is None:
        raise HTTPException(404)
    return {"shelf": found.shelf_id, "of": count}


@router.get("/later")
def later(request: Request, after: BackgroundTasks):
    """Ask when the response has been sent."""

    def name_all():
        with request.app.state.sessions() as session:
            for volume in session.scalars(select(Volume)):  # in the background
                str(volume.shelf.name)  # background loop

    after.add_task(name_all)
    return "later"


@router.get("/outliving")
async def outliving(request: Request):
    """Start a task that nobody waits for."""
    state = request.app.state

    async def goes_on():
        await state.let_go.wait()
        async with state.async_sessions() as session:
            await session.scalar(select(func.count(Shelf.id)))

    state.task = asyncio.create_task(goes_on())
    return "gone"


@router.get("/stream")
def stream(session: Opened):
    """Stream names, a query each."""

    def lines():
        for volume in session.scalars(select(Volume)):  # streamed select
            yield volume.shelf.name  # streamed loop

    return StreamingResponse(lines())


@router.get("/pooled")
async def pooled(request: Request):
    """Ask in two threads at a time."""

    def count():
        with request.app.state.sessions() as session:
            return session.scalar(select(func.count(Shelf.id)))  # in the pool

    return await asyncio.gather(run_in_threadpool(count), asyncio.to_thread(count))


@router.get("/numbered/{number}")
def numbered(number: int, session: Opened):
    """Ask as often as the route says."""
    for _ in range(number):
        session.execute(select(Shelf.id).where(Shelf.id == number))
    return number


@router.get("/broken")
def broken(session: Opened):
    """Ask, then raise."""
    session.scalar(select(func.count(Volume.id)))
    raise RuntimeError("the path operation is broken")


@router.get("/refused")
def refused():
    """Raise what the application answers."""
    raise RefusedError


async def refuse(request: Request, error: RefusedError):
    """Answer what was refused."""
    return JSONResponse({"detail": "refused"}, 409)


async def counting(request: Request, call_next):
    """Ask before the path operation where a header says so."""
    if request.headers.get("x-count"):
        with request.app.state.sessions() as session:
            session.scalar(select(func.count(Shelf.id)))  # in the middleware
    return await call_next(request)


# -- GraphQL ---------------------------------------------------------------------------------


@strawberry.type
class ShelfType:
    """A shelf."""

    name: str


@strawberry.type
class VolumeType:
    """A volume, its shelf by the attribute itself, by a resolver and through the loader."""

    id: int
    shelf: ShelfType

    @strawberry.field
    def shelf_name(self) -> str:
        """Resolve with a lazy load."""
        return self.shelf.name  # resolver

    @strawberry.field
    async def loaded_name(self, info: strawberry.Info) -> str:
        """Resolve through the loader."""
        return (await info.context.shelves.load(self.shelf_id)).name

    @strawberry.field
    async def asked_name(self, info: strawberry.Info) -> str:
        """Resolve with a statement each, each in a session of its own as tasks need them."""
        async with info.context.async_sessions() as session:
            return (await session.get(Shelf, self.shelf_id)).name  # async resolver


@strawberry.type
class Query:
    """The entry points."""

    @strawberry.field
    def volumes(self, info: strawberry.Info) -> list[VolumeType]:
        """All volumes."""
        return info.context.session.scalars(select(Volume)).all()  # volumes

    @strawberry.field
    def full_volumes(self, info: strawberry.Info) -> list[VolumeType]:
        """All volumes with their shelves."""
        statement = select(Volume).options(selectinload(Volume.shelf))
        return info.context.session.scalars(statement).all()


class Context(BaseContext):
    """What the resolvers of one request share."""

    def __init__(self, session, async_sessions):
        super().__init__()
        self.session = session
        self.async_sessions = async_sessions
        self.shelves = DataLoader(load_fn=self.load)

    async def load(self, keys):
        """Load shelves in one statement."""
        async with self.async_sessions() as session:
            found = await session.scalars(select(Shelf).where(Shelf.id.in_(keys)))  # loader
            by_key = {shelf.id: shelf for shelf in found}
        return [by_key[key] for key in keys]


def context(request: Request, session: Opened):
    """Return what the resolvers of a request share."""
    return Context(session, request.app.state.async_sessions)


graph = GraphQLRouter(strawberry.Schema(Query), context_getter=context)


# -- the application -------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app):
    """Ask at the start; give the connections back at the end."""
    with app.state.sessions() as session:
        session.scalar(select(func.count(Shelf.id)))
    try:
        yield
    finally:
        await app.state.async_sessions.kw["bind"].dispose()
        app.state.sessions.kw["bind"].dispose()


def make(path, middleware=None, settings=None):
    """Return the application on a SQLite file, filled.

    Args:
        path: The file.
        middleware: Added with ``add_middleware``, outside the application's own.
        settings: Handed to it.
    """
    engine = create_engine(f"sqlite:///{path}")
    sessions = sessionmaker(engine)
    Base.metadata.create_all(engine)
    with sessions() as session:
        session.add_all(Volume(shelf=Shelf(name=f"s{n}")) for n in range(VOLUMES))
        session.commit()
    app = FastAPI(lifespan=lifespan)
    app.state.sessions = sessions
    app.state.async_sessions = async_sessionmaker(
        create_async_engine(f"sqlite+aiosqlite:///{path}"), expire_on_commit=False
    )
    app.include_router(router, prefix="/v1")
    app.include_router(graph, prefix="/graphql")
    app.add_exception_handler(RefusedError, refuse)
    app.middleware("http")(counting)
    if middleware is not None:
        app.add_middleware(middleware, settings=settings)
    return app
