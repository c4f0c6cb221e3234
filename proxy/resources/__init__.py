"""Everything below /v1/ that is no dialect: files, batches, images, audio; kept apart by tenant."""
