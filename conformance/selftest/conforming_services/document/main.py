import os

import httpx
from databases import Database
from fastapi import Depends, FastAPI

from .celery import background_task

DATABASE_URL = os.environ["DATABASE_URL"]

database = Database(DATABASE_URL)

app = FastAPI()

@app.get("/sync")
def read_sync():
    return {"message": "This is a synchronous endpoint"}

@app.get("/async")
async def read_async():
    return {"message": "This is an asynchronous endpoint"}

@app.on_event("startup")
async def startup():
    await database.connect()

@app.on_event("shutdown")
async def shutdown():
    await database.disconnect()

@app.get("/items/{item_id}")
async def read_item(item_id: int):
    query = "SELECT * FROM items WHERE id = :item_id"
    item = await database.fetch_one(query, values={"item_id": item_id})
    return {"item": item}

@app.get("/external-data")
async def get_external_data():
    async with httpx.AsyncClient() as client:
        response = await client.get(os.environ["EXTERNAL_DATA_URL"])
        return response.json()

@app.post("/process-data/")
async def process_data(data: dict):
    task = background_task.delay(data)
    return {"message": "Task submitted", "task_id": task.id}

async def common_parameters(q: str = None):
    return {"q": q}

@app.get("/items/")
async def read_items(commons: dict = Depends(common_parameters)):
    return commons

@app.on_event("startup")
async def startup_event():
    print("Starting up...")

@app.on_event("shutdown")
async def shutdown_event():
    print("Shutting down...")
