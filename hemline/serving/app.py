"""The paths of the server: TensorFlow Serving's, and a page on which a person drops a picture.

    uvicorn.run(make_app(champion), host="127.0.0.1", port=8501)

Functions that are not async run in threads, so that a long answer holds up nobody.
"""

import html
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException as Refused

from hemline.data import image_files
from hemline.errors import HemlineError
from hemline.serving.champion import Champion, Model
from hemline.serving.requests import MOST_BYTES, answer, read, refuse

# The page has its script and its style in it; nothing else is loaded, whatever it might come to hold.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src blob:"
NAMED, NUMBERED = "/v1/models/{name}", "/v1/models/{name}/versions/{version}"
router = APIRouter()


def make_app(champion: Champion) -> FastAPI:
    """The server's program."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # whose pages load scripts from elsewhere
    app.state.champion = champion
    app.include_router(router)
    app.add_exception_handler(Refused, lambda _, error: JSONResponse({"error": error.detail}, error.status_code))
    return app


def _champion(request: Request) -> Champion:
    return cast(Champion, request.app.state.champion)


def _named(champion: Annotated[Champion, Depends(_champion)], name: str, version: str | None = None) -> Model:
    model = champion.now()
    if name != champion.name or version not in (None, model.manifest.version):
        received = f"{name} {version or ''}".strip() + f", and here is {model.manifest.title}"
        refuse(404, "the model must be the one that is served", received, "Ask for that")
    return model


async def _body(request: Request) -> bytes:
    """What was sent, unless it is too much: then the rest is not read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            refuse(413, f"a request may have {MOST_BYTES:,} bytes", "more", "Send several, or smaller ones")
    return bytes(body)


Body = Annotated[bytes, Depends(_body)]
Named = Annotated[Model, Depends(_named)]


@router.get(NAMED)
@router.get(NUMBERED)
def _status(model: Named, request: Request) -> dict[str, Any]:
    state = {"error_code": "OK", "error_message": _champion(request).problem}
    return {"model_version_status": [{"version": model.manifest.version, "state": "AVAILABLE", "status": state}]}


@router.get(f"{NAMED}/metadata")
@router.get(f"{NUMBERED}/metadata")
def _metadata(model: Named, name: str) -> dict[str, Any]:
    spec = {"name": name, "signature_name": "", "version": model.manifest.version}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": model.signatures}}}


@router.post(f"{NAMED}:predict")
@router.post(f"{NUMBERED}:predict")
def _predict(model: Named, body: Body) -> JSONResponse:
    form, images = read(body, model.manifest.dataset.image_shape)
    return JSONResponse(answer(form, model.answer(images)))


@router.post("/classify")
def _classify(picture: Body, request: Request) -> dict[str, Any]:
    """Every class and its probability, the likeliest first, of a file that is read as `hemline predict` reads it."""
    model = _champion(request).now()
    path = Path("picture.jpg" if picture.startswith(b"\xff\xd8\xff") else "picture.png")
    try:
        images = image_files.picture(path, picture, model.manifest.dataset.image_shape, model.manifest.config)
    except HemlineError as error:
        raise HTTPException(400, str(error)) from error
    odds = zip(model.answer(images)["probabilities"][0].tolist(), model.manifest.class_names, strict=True)
    return {"model": model.manifest.title, "classes": [{"name": n, "probability": p} for p, n in sorted(odds)[::-1]]}


@router.get("/")
def _page(request: Request) -> HTMLResponse:
    champion, text = _champion(request), Path(__file__).with_name("page.html").read_text()
    text = text.replace("TITLE", html.escape(champion.now().manifest.title))
    return HTMLResponse(
        text.replace("PROBLEM", html.escape(champion.problem)), headers={"Content-Security-Policy": POLICY}
    )
