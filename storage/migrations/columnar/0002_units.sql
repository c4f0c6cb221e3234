-- What an attempt used that is not paid by token: searches, images, milliseconds, characters.
ALTER TABLE usage_events ADD COLUMN IF NOT EXISTS units Map(String, UInt64) AFTER unpriced_keys;
