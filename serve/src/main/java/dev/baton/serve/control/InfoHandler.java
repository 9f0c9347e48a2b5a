package dev.baton.serve.control;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.RankLoad;
import dev.baton.engine.RankState;
import dev.baton.protocol.reply.JsonBytes;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.http.Exchange;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code /model_info}, {@code /server_info}, {@code /get_load} and their other names. */
public final class InfoHandler {
    private static final double GIB = 1L << 30;

    private final Engine engine;
    private final ServeConfig config;

    public InfoHandler(Engine engine, ServeConfig config) {
        this.engine = engine;
        this.config = config;
    }

    /** {@code /get_model_info}. */
    public void model(Exchange exchange) {
        EngineInfo info = engine.info();
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        map.put("model_path", config.modelPath());
        map.put("tokenizer_path", config.tokenizerPath());
        map.put("is_generation", true);
        map.put("preferred_sampling_params", null);
        map.put("weight_version", config.weightVersion());
        map.put("has_image_understanding", false);
        map.put("has_audio_understanding", false);
        map.put("model_type", info.modelType());
        map.put("architectures", List.of(info.architecture()));
        respond(exchange, map);
    }

    /** {@code /get_server_info}: flags, limits and one entry a DP rank. */
    public void server(Exchange exchange) {
        EngineInfo info = engine.info();
        Map<String, @Nullable Object> map = new LinkedHashMap<>(config.serverArgs());
        map.put("status", "ready");
        map.put("max_total_num_tokens", info.maxTotalTokens());
        map.put("max_req_input_len", info.maxRequestInputTokens());
        List<Object> states = new ArrayList<>();
        for (RankState state : engine.states()) {
            states.add(state(info, state));
        }
        map.put("internal_states", states);
        map.put("version", config.version());
        respond(exchange, map);
    }

    private Map<String, @Nullable Object> state(EngineInfo info, RankState state) {
        Map<String, @Nullable Object> map = new LinkedHashMap<>(config.serverArgs());
        map.put("last_gen_throughput", state.lastGenerationThroughput());
        Map<String, Object> memory = new LinkedHashMap<>();
        memory.put("weight", gib(info.weightBytes()));
        memory.put("kvcache", gib(info.cacheBytes()));
        memory.put("token_capacity", info.maxTotalTokens());
        memory.put("graph", 0.0);
        map.put("memory_usage", memory);
        map.put("effective_max_running_requests_per_dp", info.maxRunningRequests());
        map.put("dp_rank", state.dpRank());
        map.put("num_running_reqs", state.runningRequests());
        map.put("num_queue_reqs", state.queuedRequests());
        map.put("num_prealloc_reqs", state.preallocRequests());
        map.put("num_transfer_reqs", state.transferRequests());
        map.put("num_retracted_reqs", state.retractedRequests());
        map.put("num_used_tokens", state.usedTokens());
        map.put("num_free_tokens", state.freeTokens());
        map.put("num_evictable_tokens", state.evictableTokens());
        map.put("cache_hit_rate", state.cacheHitRate());
        map.put("new_token_ratio", state.newTokenRatio());
        map.put("forward_ct", state.forwardSteps());
        map.put("num_generated_tokens", state.generatedTokens());
        return map;
    }

    /** Two decimals, as the dialect has them. */
    private static double gib(long bytes) {
        return Math.round(bytes / GIB * 100) / 100.0;
    }

    /** {@code /get_load}. */
    public void load(Exchange exchange) {
        List<Object> list = new ArrayList<>();
        for (RankLoad load : engine.load()) {
            Map<String, @Nullable Object> map = new LinkedHashMap<>();
            map.put("rid", null);
            map.put("dp_rank", load.dpRank());
            map.put("num_reqs", load.runningRequests() + load.waitingRequests());
            map.put("num_waiting_reqs", load.waitingRequests());
            map.put("num_tokens", load.tokens());
            list.add(map);
        }
        respond(exchange, list);
    }

    private static void respond(Exchange exchange, Object value) {
        exchange.respond(200, Exchange.JSON, new JsonBytes(1_024).value(value).toByteArray());
    }
}
