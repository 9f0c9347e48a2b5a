package dev.baton.protocol.request;

import dev.baton.protocol.SamplingParams;
import org.jspecify.annotations.Nullable;

/**
 * What completion and chat bodies share.
 *
 * @param model as the client wrote it ("default" when left out)
 * @param stream server-sent events
 * @param includeUsage the stream ends with a chunk that holds the usage
 * @param continuousUsage every chunk holds the usage so far
 * @param sampling with the body's fields over the defaults
 * @param rid the client's name for the request; null lets the server choose
 * @param bootstrap of the first prompt; room counts up over the others
 * @param dataParallelRank null lets the engine choose
 */
public record OpenAiOptions(
        String model,
        boolean stream,
        boolean includeUsage,
        boolean continuousUsage,
        SamplingParams sampling,
        @Nullable String rid,
        BootstrapFields bootstrap,
        @Nullable Integer dataParallelRank) {}
