package dev.baton.engine.disagg.transfer;

/** What one rank caches: the layers of its stage, of each the same heads. */
public record CacheShare(LayerRange layers, HeadShare heads) {}
