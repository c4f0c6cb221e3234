"""Adds the rest of OpenAI's API to the mock; called by app.py once its own routes are there."""

from aiohttp import web

from proxy.providers.mock.batches import add_batch_routes
from proxy.providers.mock.containers import add_container_routes
from proxy.providers.mock.conversations import add_conversation_routes
from proxy.providers.mock.files import add_file_routes
from proxy.providers.mock.fine_tuning import add_fine_tuning_routes
from proxy.providers.mock.images import add_image_routes
from proxy.providers.mock.moderations import add_moderation_routes
from proxy.providers.mock.realtime import add_realtime_routes
from proxy.providers.mock.speech import add_speech_routes
from proxy.providers.mock.text_completions import add_text_completion_routes
from proxy.providers.mock.transcripts import add_transcript_routes
from proxy.providers.mock.uploads import add_upload_routes
from proxy.providers.mock.vector_store_files import add_vector_store_file_routes
from proxy.providers.mock.vector_stores import add_vector_store_routes


def add_resource_routes(app: web.Application) -> None:
    """Add every route but chat's, the embeddings' and the models'."""
    add_text_completion_routes(app)
    add_moderation_routes(app)
    add_image_routes(app)
    add_speech_routes(app)
    add_transcript_routes(app)
    add_file_routes(app)
    add_upload_routes(app)
    add_batch_routes(app)
    add_vector_store_routes(app)
    add_vector_store_file_routes(app)
    add_fine_tuning_routes(app)
    add_container_routes(app)
    add_conversation_routes(app)
    add_realtime_routes(app)
