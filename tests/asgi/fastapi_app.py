"""A FastAPI application on an asyncio shop, with a sync twin of its endpoint."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

import queryscope
from tests.frameworks.volumes import Base, Shelf, Volume

PATH = os.environ["FASTAPI_SHOP"]

engine = create_async_engine(f"sqlite+aiosqlite:///{PATH}")
sessions = async_sessionmaker(engine, expire_on_commit=False)
sync_engine = create_engine(f"sqlite:///{PATH}")


def fill():
    """Make eight shelves with a volume each."""
    Base.metadata.create_all(sync_engine)
    with Session(sync_engine) as session:
        session.add_all(Volume(shelf=Shelf(name=f"s{n}")) for n in range(8))
        session.commit()


@asynccontextmanager
async def lifespan(_):
    """Give the connections back when the server stops."""
    yield
    await engine.dispose()
    sync_engine.dispose()


async def opened():
    """Open a session for one request."""
    async with sessions() as session:  # the dependency
        yield session


Opened = Annotated[AsyncSession, Depends(opened)]

api = FastAPI(lifespan=lifespan)


@api.get("/volumes")
async def volumes(session: Opened) -> list[str]:
    """List the shelf of each volume, a query each."""
    names = []
    for volume in await session.scalars(select(Volume)):
        shelf = await volume.awaitable_attrs.shelf  # async loop
        names.append(shelf.name)
    return names


@api.get("/sync/volumes")
def sync_volumes() -> list[str]:
    """List the shelf of each volume, a query each, in a thread."""
    names = []
    with Session(sync_engine) as session:
        for volume in session.scalars(select(Volume)):
            shelf = volume.shelf  # sync loop
            names.append(shelf.name)
    return names


@api.get("/volumes/{volume_id}")
async def volume(volume_id: int, session: Opened, after: BackgroundTasks) -> dict[str, int]:
    """Look one volume up, and count the shelves when it has been sent."""

    async def count():
        async with sessions() as later:
            await later.scalar(select(func.count(Shelf.id)))  # in the background

    after.add_task(count)
    found = await session.get(Volume, volume_id)  # the look-up
    return {"shelf": found.shelf_id}


@api.get("/stream")
async def stream(session: Opened):
    """Stream the names of the shelves."""

    async def lines():
        async for shelf in await session.stream_scalars(select(Shelf)):  # the stream
            yield shelf.name

    return StreamingResponse(lines())


app = queryscope.asgi.Middleware(
    api, {"console": False, "mode": os.environ.get("FASTAPI_MODE", "development")}
)
