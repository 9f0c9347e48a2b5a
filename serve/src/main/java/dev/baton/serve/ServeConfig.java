package dev.baton.serve;

import dev.baton.protocol.SamplingParams;
import dev.baton.serve.http.HttpLimits;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How one server faces its clients.
 *
 * @param host address to bind
 * @param port 0 for any free one
 * @param servedModelName {@code model} in replies
 * @param modelPath {@code model_path} in information replies
 * @param tokenizerPath {@code tokenizer_path} there
 * @param apiKey what {@code Authorization: Bearer} must hold; null lets everybody in
 * @param metrics {@code /metrics} is there
 * @param accessLog one line a request
 * @param limits what is taken from a client
 * @param eventLoopThreads 0 for one a processor, at most 8
 * @param streamInterval tokens a frame
 * @param healthGenerates {@code /health} generates a token, as {@code /health_generate} always does
 * @param healthTimeoutSeconds how long a health check waits for the engine
 * @param bootstrapPort used where a body's {@code bootstrap_port} is null
 * @param weightVersion {@code meta_info.weight_version}
 * @param chatDefaults what a chat body leaves out (the model's generation_config)
 * @param serverArgs the launch flags, snake_case, for {@code /get_server_info}
 * @param version of the server
 * @param toolCallParser {@code --tool-call-parser}; null leaves calls in the text
 * @param reasoningParser {@code --reasoning-parser}; null leaves reasoning in the text
 */
public record ServeConfig(
        String host,
        int port,
        String servedModelName,
        String modelPath,
        String tokenizerPath,
        @Nullable String apiKey,
        boolean metrics,
        boolean accessLog,
        HttpLimits limits,
        int eventLoopThreads,
        int streamInterval,
        boolean healthGenerates,
        int healthTimeoutSeconds,
        int bootstrapPort,
        String weightVersion,
        SamplingParams chatDefaults,
        Map<String, Object> serverArgs,
        String version,
        @Nullable String toolCallParser,
        @Nullable String reasoningParser) {

    public ServeConfig {
        serverArgs = Collections.unmodifiableMap(new LinkedHashMap<>(serverArgs));
        if (streamInterval < 1) {
            throw new IllegalArgumentException("stream interval must be at least 1, got " + streamInterval);
        }
    }

    /** SGLang's defaults for a model. */
    public static Builder of(String modelPath) {
        return new Builder(modelPath);
    }

    /** Sets what differs from the defaults. */
    public static final class Builder {
        private final String modelPath;
        private String host = "127.0.0.1";
        private int port = 30_000;
        private String servedModelName;
        private String tokenizerPath;
        private @Nullable String apiKey;
        private boolean metrics;
        private boolean accessLog = true;
        private HttpLimits limits = HttpLimits.DEFAULT;
        private int eventLoopThreads;
        private int streamInterval = 1;
        private boolean healthGenerates = true;
        private int healthTimeoutSeconds = 20;
        private int bootstrapPort = 8_998;
        private String weightVersion = "default";
        private SamplingParams chatDefaults = SamplingParams.DEFAULT;
        private Map<String, Object> serverArgs = Map.of();
        private String version = "dev";
        private @Nullable String toolCallParser;
        private @Nullable String reasoningParser;

        private Builder(String modelPath) {
            this.modelPath = modelPath;
            this.servedModelName = modelPath;
            this.tokenizerPath = modelPath;
        }

        public Builder host(String value) {
            host = value;
            return this;
        }

        public Builder port(int value) {
            port = value;
            return this;
        }

        public Builder servedModelName(String value) {
            servedModelName = value;
            return this;
        }

        public Builder tokenizerPath(String value) {
            tokenizerPath = value;
            return this;
        }

        public Builder apiKey(@Nullable String value) {
            apiKey = value;
            return this;
        }

        public Builder metrics(boolean value) {
            metrics = value;
            return this;
        }

        public Builder accessLog(boolean value) {
            accessLog = value;
            return this;
        }

        public Builder limits(HttpLimits value) {
            limits = value;
            return this;
        }

        public Builder eventLoopThreads(int value) {
            eventLoopThreads = value;
            return this;
        }

        public Builder streamInterval(int value) {
            streamInterval = value;
            return this;
        }

        public Builder healthGenerates(boolean value) {
            healthGenerates = value;
            return this;
        }

        public Builder healthTimeoutSeconds(int value) {
            healthTimeoutSeconds = value;
            return this;
        }

        public Builder bootstrapPort(int value) {
            bootstrapPort = value;
            return this;
        }

        public Builder weightVersion(String value) {
            weightVersion = value;
            return this;
        }

        public Builder chatDefaults(SamplingParams value) {
            chatDefaults = value;
            return this;
        }

        public Builder serverArgs(Map<String, Object> value) {
            serverArgs = value;
            return this;
        }

        public Builder version(String value) {
            version = value;
            return this;
        }

        public Builder toolCallParser(@Nullable String value) {
            toolCallParser = value;
            return this;
        }

        public Builder reasoningParser(@Nullable String value) {
            reasoningParser = value;
            return this;
        }

        public ServeConfig build() {
            return new ServeConfig(
                    host,
                    port,
                    servedModelName,
                    modelPath,
                    tokenizerPath,
                    apiKey,
                    metrics,
                    accessLog,
                    limits,
                    eventLoopThreads,
                    streamInterval,
                    healthGenerates,
                    healthTimeoutSeconds,
                    bootstrapPort,
                    weightVersion,
                    chatDefaults,
                    serverArgs,
                    version,
                    toolCallParser,
                    reasoningParser);
        }
    }
}
