package dev.baton.serve.openai;

import dev.baton.engine.EngineInfo;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.http.Exchange;
import java.util.Map;

/** {@code /v1/models} and {@code /v1/models/{name}}. */
public final class ModelsHandler {
    /** Path before a model's name. */
    public static final String PREFIX = "/v1/models/";

    private final ServeConfig config;
    private final EngineInfo info;
    private final long created = OpenAiBodies.epochSeconds();

    public ModelsHandler(ServeConfig config, EngineInfo info) {
        this.config = config;
        this.info = info;
    }

    /** All models: the one. */
    public void list(Exchange exchange) {
        JsonBytes out = new JsonBytes(256).raw("{\"object\":\"list\",\"data\":[");
        card(out);
        exchange.respond(200, Exchange.JSON, out.raw("]}").toByteArray());
    }

    /** One model by its name. */
    public void one(Exchange exchange) {
        String name = exchange.path().substring(PREFIX.length());
        JsonBytes out = new JsonBytes(256);
        if (name.equals(config.servedModelName())) {
            card(out);
            exchange.respond(200, Exchange.JSON, out.toByteArray());
            return;
        }
        out.raw("{\"error\":{\"message\":")
                .string("The model '" + name + "' does not exist; this server has '" + config.servedModelName() + "'.")
                .raw(",\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_found\"}}");
        exchange.respond(404, Exchange.JSON, out.array(), out.length(), Map.of());
    }

    private void card(JsonBytes out) {
        out.raw("{\"id\":").string(config.servedModelName());
        out.raw(",\"object\":\"model\",\"created\":").number(created);
        out.raw(",\"owned_by\":\"sglang\",\"root\":").string(config.servedModelName());
        out.raw(",\"parent\":null,\"max_model_len\":")
                .number(info.contextTokens())
                .raw('}');
    }
}
