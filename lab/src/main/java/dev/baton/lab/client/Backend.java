package dev.baton.lab.client;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import dev.baton.lab.LabException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** What kind of endpoint is measured ({@code --backend}). */
public enum Backend {
    /** {@code /generate}: cumulative text over SSE. */
    SGLANG("sglang", "/generate", Form.GENERATE, 30000),
    /** The same under its long name. */
    SGLANG_NATIVE("sglang-native", "/generate", Form.GENERATE, 30000),
    /** {@code /v1/completions} of an SGLang-like server. */
    SGLANG_OAI("sglang-oai", "/v1/completions", Form.COMPLETIONS, 30000),
    /** {@code /v1/chat/completions} of an SGLang-like server. */
    SGLANG_OAI_CHAT("sglang-oai-chat", "/v1/chat/completions", Form.CHAT, 30000),
    /** {@code /v1/completions} of vLLM. */
    VLLM("vllm", "/v1/completions", Form.COMPLETIONS, 8000),
    /** {@code /v1/chat/completions} of vLLM. */
    VLLM_CHAT("vllm-chat", "/v1/chat/completions", Form.CHAT, 8000);

    /** The request and answer forms. */
    public enum Form {
        /** SGLang's own. */
        GENERATE,
        /** OpenAI's text completions. */
        COMPLETIONS,
        /** OpenAI's chat completions. */
        CHAT
    }

    private final String wire;
    private final String path;
    private final Form form;
    private final int defaultPort;

    Backend(String wire, String path, Form form, int defaultPort) {
        this.wire = wire;
        this.path = path;
        this.form = form;
        this.defaultPort = defaultPort;
    }

    /** The flag's value. */
    @JsonValue
    public String wire() {
        return wire;
    }

    /** Where requests are posted. */
    public String path() {
        return path;
    }

    /** The request and answer form. */
    public Form form() {
        return form;
    }

    /** The port when {@code --port} is not given. */
    public int defaultPort() {
        return defaultPort;
    }

    /** The backend of a flag's value. */
    @JsonCreator
    public static Backend of(String wire) {
        for (Backend backend : values()) {
            if (backend.wire.equals(wire)) {
                return backend;
            }
        }
        throw new LabException(
                LabException.Code.INVALID_CONFIG,
                "backend '" + wire + "' is not one of "
                        + Arrays.stream(values()).map(Backend::wire).collect(Collectors.joining(", ")));
    }

    @Override
    public String toString() {
        return wire;
    }
}
