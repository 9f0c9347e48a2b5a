package dev.baton.protocol.flag;

import static dev.baton.protocol.flag.Flag.Support.ACCEPTED;
import static dev.baton.protocol.flag.Flag.Support.NOT_YET;
import static dev.baton.protocol.flag.Flag.Support.SERVED;
import static dev.baton.protocol.flag.FlagType.DECIMAL;
import static dev.baton.protocol.flag.FlagType.INTEGER;
import static dev.baton.protocol.flag.FlagType.INTEGERS;
import static dev.baton.protocol.flag.FlagType.SWITCH;
import static dev.baton.protocol.flag.FlagType.TEXT;
import static dev.baton.protocol.flag.FlagType.TEXTS;

import dev.baton.protocol.flag.Flag.Support;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The catalogue of {@code baton serve}'s flags: SGLang's names and defaults (v0.5.6.post2), with what this version
 * serves. A flag is SERVED here only when something reads it.
 */
public final class LaunchFlags {
    private static final Map<String, Flag> BY_NAME = new LinkedHashMap<>();
    private static final List<Flag> ALL = new ArrayList<>();

    static {
        modelAndProcess();
        server();
        memoryAndScheduling();
        parallelism();
        expertBalance();
        disaggregation();
        device();
    }

    private LaunchFlags() {}

    /** Every flag, in the order of {@code --help}. */
    public static List<Flag> all() {
        return Collections.unmodifiableList(ALL);
    }

    /** The flag of a long name or alias without hyphens; null when there is none. */
    static @Nullable Flag find(String name) {
        return BY_NAME.get(name);
    }

    /** Every long name and alias. */
    static Iterable<String> names() {
        return BY_NAME.keySet();
    }

    private static void modelAndProcess() {
        add(
                "model-path",
                TEXT,
                null,
                SERVED,
                "directory of the model: config.json, tokenizer.json, *.safetensors",
                "model");
        add("tokenizer-path", TEXT, null, SERVED, "directory of the tokenizer when it is not the model's");
        add("skip-tokenizer-init", SWITCH, false, SERVED, "no tokenizer: requests carry input_ids, answers output_ids");
        choice(
                "load-format",
                "auto",
                List.of("auto", "safetensors", "dummy"),
                SERVED,
                "dummy: random weights of config.json's shapes");
        add("trust-remote-code", SWITCH, false, ACCEPTED, "no model code is ever run");
        add("context-length", INTEGER, null, SERVED, "longest prompt plus answer; default from config.json");
        add("served-model-name", TEXT, null, SERVED, "name in /v1/models; default the model path");
        add("chat-template", TEXT, null, SERVED, "file of a Jinja chat template, instead of the model's");
        choice(
                "sampling-defaults",
                "model",
                List.of("openai", "model"),
                SERVED,
                "where sampling defaults of the OpenAI API come from");
        add("random-seed", INTEGER, null, SERVED, "seed of requests that bring none");
        choice(
                "dtype",
                "auto",
                List.of("auto", "float32", "bfloat16", "float16", "half", "float"),
                SERVED,
                "activations: float32 on a CPU, where bfloat16 rounds each operator's result; on a GPU bfloat16 unless the"
                        + " weights are float32");
        choice(
                "kv-cache-dtype",
                "auto",
                List.of("auto", "float32", "bfloat16"),
                SERVED,
                "auto: float32 on a CPU, as the activations on a GPU");
        add("quantization", TEXT, null, NOT_YET, "weight quantisation method");
        add("revision", TEXT, null, ACCEPTED, "models are local folders");
        add("nnodes", INTEGER, 1, SERVED, "hosts of one server");
        add("node-rank", INTEGER, 0, SERVED, "which of them this is");
        add("dist-init-addr", TEXT, null, SERVED, "host:port of node 0", "nccl-init-addr");
        add(
                "dist-timeout",
                INTEGER,
                null,
                SERVED,
                "seconds to wait for the other nodes at the start (300), and at most for a sign of life later (30)");
        add(
                "watchdog-timeout",
                DECIMAL,
                300.0,
                SERVED,
                "seconds after which a step that does not end fails the server");
        add(
                "skip-server-warmup",
                SWITCH,
                false,
                SERVED,
                "no warm-up of kernels and no warm-up request before the server is ready");
        add("log-level", TEXT, "info", SERVED, "debug, info, warning or error");
        add("log-level-http", TEXT, null, SERVED, "level of the access lines; default --log-level");
        add("log-requests", SWITCH, false, NOT_YET, "log every request");
        add("log-requests-level", INTEGER, 2, NOT_YET, "how much of it");
        add("decode-log-interval", INTEGER, 40, SERVED, "decode steps between two Decode lines");
        add("stream-interval", INTEGER, 1, SERVED, "tokens between two frames of a stream");
        add("stream-output", SWITCH, false, SERVED, "output_ids of a stream's frames are disjoint");
    }

    private static void server() {
        add("host", TEXT, "127.0.0.1", SERVED, "address to listen on");
        add("port", INTEGER, 30000, SERVED, "port to listen on; 0 takes a free one");
        add("api-key", TEXT, null, SERVED, "key that requests must bring");
        add("enable-metrics", SWITCH, false, SERVED, "/metrics answers");
        add("enable-metrics-for-all-schedulers", SWITCH, false, ACCEPTED, "every DP rank reports");
        add("collect-tokens-histogram", SWITCH, false, NOT_YET, "token count histograms");
        add("enable-return-hidden-states", SWITCH, false, NOT_YET, "hidden states in answers");
        add("enable-priority-scheduling", SWITCH, false, NOT_YET, "requests carry a priority");
        choice(
                "tool-call-parser",
                null,
                List.of("qwen", "qwen25", "hermes", "llama3", "deepseekv3"),
                SERVED,
                "how the model writes tool calls");
        choice(
                "reasoning-parser",
                null,
                List.of("deepseek-r1", "qwen3"),
                SERVED,
                "how the model writes reasoning; it becomes reasoning_content");
        choice(
                "grammar-backend",
                null,
                List.of("xgrammar", "outlines", "llguidance", "none"),
                SERVED,
                "none refuses regex, json_schema and ebnf; any other name means Baton's own");
    }

    private static void memoryAndScheduling() {
        add("mem-fraction-static", DECIMAL, null, SERVED, "share of the device's memory for weights and KV cache");
        add("max-total-tokens", INTEGER, null, SERVED, "tokens of the KV pool of one DP rank");
        add("max-running-requests", INTEGER, null, SERVED, "requests that run at once");
        add("max-queued-requests", INTEGER, null, SERVED, "requests that wait; more are refused with 503");
        add("chunked-prefill-size", INTEGER, null, SERVED, "most prompt tokens of one step; -1 turns chunking off");
        add("max-prefill-tokens", INTEGER, 16384, SERVED, "most tokens of one prefill batch");
        add("page-size", INTEGER, 1, SERVED, "tokens of one KV page");
        choice("schedule-policy", "fcfs", List.of("fcfs", "lpm"), SERVED, "order of the waiting queue");
        add("schedule-conservativeness", DECIMAL, 1.0, SERVED, "larger reserves more memory for running requests");
        add("disable-radix-cache", SWITCH, false, SERVED, "no prefix cache");
        add("disable-overlap-schedule", SWITCH, false, SERVED, "plan a step only when the one before has ended");
        add("enable-mixed-chunk", SWITCH, false, NOT_YET, "decode tokens ride in prefill steps");
        add("cuda-graph-max-bs", INTEGER, null, ACCEPTED, "no graphs on a CPU");
        add("cuda-graph-bs", INTEGERS, null, ACCEPTED, "no graphs on a CPU");
        add("disable-cuda-graph", SWITCH, false, ACCEPTED, "no graphs on a CPU");
        add("disable-cuda-graph-padding", SWITCH, false, ACCEPTED, "no graphs on a CPU");
        add("attention-backend", TEXT, null, ACCEPTED, "the device has one");
        add("sampling-backend", TEXT, null, ACCEPTED, "the device has one");
        add("mm-attention-backend", TEXT, null, NOT_YET, "multimodal attention");
    }

    private static void parallelism() {
        add("tp-size", INTEGER, 1, SERVED, "ranks that share one model's weights", "tensor-parallel-size", "tp");
        add(
                "dp-size",
                INTEGER,
                1,
                SERVED,
                "replicas, or attention groups with --enable-dp-attention",
                "data-parallel-size",
                "dp");
        choice(
                "load-balance-method",
                "round_robin",
                List.of("round_robin", "shortest_queue"),
                SERVED,
                "which replica takes a request");
        add("pp-size", INTEGER, 1, SERVED, "pipeline stages (ranks = tp * pp)", "pipeline-parallel-size");
        add("pp-max-micro-batch-size", INTEGER, null, SERVED, "most requests of one decode step of a pipeline");
        add("pp-async-batch-depth", INTEGER, 0, SERVED, "micro-batches in flight beyond one a stage");
        add("pp-synchronous", SWITCH, false, SERVED, "stages wait for every message, to compare with");
        add("ep-size", INTEGER, 1, SERVED, "parts of the experts; must divide --tp-size", "expert-parallel-size", "ep");
        add(
                "enable-dp-attention",
                SWITCH,
                false,
                SERVED,
                "the ranks form --dp-size groups with requests and KV of their own, and share all other weights");
        add("enable-dp-lm-head", SWITCH, false, SERVED, "vocabulary shards inside an attention group");
        add("moe-dense-tp-size", INTEGER, null, SERVED, "1: dense layers are whole on every rank");
        choice(
                "moe-a2a-backend",
                "none",
                List.of("none", "deepep"),
                SERVED,
                "deepep: tokens travel to the ranks of their experts");
        add("enable-deepep-moe", SWITCH, false, SERVED, "old name of --moe-a2a-backend deepep");
        choice(
                "deepep-mode",
                "auto",
                List.of("auto", "normal", "low_latency"),
                SERVED,
                "how they travel: as many rows as there are, or buffers of a fixed size");
        choice(
                "moe-dispatch-dtype",
                "float32",
                List.of("float32", "bfloat16", "fp8"),
                SERVED,
                "Baton: how hidden states travel to their experts; fp8 has a scale for every 128 columns");
        add("deepep-config", TEXT, null, ACCEPTED, "tuning of GPU kernels");
        add(
                "enable-two-batch-overlap",
                SWITCH,
                false,
                SERVED,
                "half of a batch computes while the other's tokens travel");
        add("enable-single-batch-overlap", SWITCH, false, SERVED, "shared experts are computed while results travel");
        add(
                "tbo-token-distribution-threshold",
                DECIMAL,
                0.48,
                SERVED,
                "least share of a half before a sequence is cut");
        add("moe-runner-backend", TEXT, "auto", NOT_YET, "grouped GEMM implementation");
    }

    private static void expertBalance() {
        add(
                "init-expert-location",
                TEXT,
                "trivial",
                SERVED,
                "placement of the experts: trivial, a .json or .pt file, or JSON text, with physical_to_logical_map or"
                        + " logical_count");
        add("ep-num-redundant-experts", INTEGER, 0, SERVED, "slots beyond one an expert");
        choice(
                "ep-dispatch-algorithm",
                null,
                List.of("static", "dynamic", "fake"),
                SERVED,
                "which replica a token goes to; static where there is a choice");
        add("enable-eplb", SWITCH, false, SERVED, "experts move between ranks while serving");
        choice(
                "eplb-algorithm",
                "auto",
                List.of("auto", "deepseek", "deepseek_hierarchical"),
                SERVED,
                "how to place from counts; auto: hierarchical where the nodes divide the model's expert groups");
        add("eplb-rebalance-num-iterations", INTEGER, 1000, SERVED, "forward passes between two rebalances");
        add(
                "eplb-rebalance-layers-per-chunk",
                INTEGER,
                null,
                SERVED,
                "layers moved between two passes; default all at once");
        add("eplb-min-rebalancing-utilization-threshold", DECIMAL, 1.0, SERVED, "no rebalance above this balancedness");
        choice(
                "expert-distribution-recorder-mode",
                null,
                List.of("stat", "stat_approx", "per_pass", "per_token"),
                SERVED,
                "what /start_expert_distribution_record records; stat with --enable-eplb");
        add(
                "expert-distribution-recorder-buffer-size",
                INTEGER,
                null,
                SERVED,
                "passes remembered; default --eplb-rebalance-num-iterations; -1 for all");
        add(
                "enable-expert-distribution-metrics",
                SWITCH,
                false,
                SERVED,
                "balancedness of each pass in the log and in /metrics");
    }

    private static void disaggregation() {
        choice("disaggregation-mode", "null", List.of("null", "prefill", "decode"), SERVED, "role of this server");
        choice(
                "disaggregation-transfer-backend",
                "auto",
                List.of("auto", "shm", "tcp", "fake", "mooncake", "nixl"),
                SERVED,
                "how KV travels; mooncake and nixl mean auto");
        add(
                "disaggregation-bootstrap-port",
                INTEGER,
                8998,
                SERVED,
                "port of the prefill server's registry; 0 takes a free one");
        add("disaggregation-ib-device", TEXT, null, ACCEPTED, "no RDMA device is used");
        add("disaggregation-decode-tp", INTEGER, null, SERVED, "on prefill: the decode side's tensor parallel size");
        add("disaggregation-decode-dp", INTEGER, null, SERVED, "on prefill: the decode side's data parallel size");
        add("disaggregation-prefill-pp", INTEGER, 1, SERVED, "on decode: the prefill side's stages; only 1 here");
        add("disaggregation-decode-polling-interval", INTEGER, 1, ACCEPTED, "queues are polled every turn");
        add("disaggregation-decode-enable-offload-kvcache", SWITCH, false, NOT_YET, "hierarchical offload on decode");
        add(
                "num-reserved-decode-tokens",
                INTEGER,
                null,
                SERVED,
                "on decode: KV tokens kept free a request (512, or SGLANG_NUM_RESERVED_DECODE_TOKENS)");
        add("prefill-round-robin-balance", SWITCH, false, ACCEPTED, "the prefill side's DP rank is room mod dp");
    }

    private static void device() {
        choice("device", "auto", List.of("auto", "cpu", "cuda"), SERVED, "where the model runs");
        add("base-gpu-id", INTEGER, 0, SERVED, "number of the first rank's GPU");
        add("gpu-id-step", INTEGER, 1, SERVED, "from one rank's GPU to the next one's");
        add(
                "cpu-threads",
                INTEGER,
                null,
                SERVED,
                "Baton: worker threads of each rank; default the cores divided by the ranks");
        add(
                "rehearse",
                TEXTS,
                null,
                SERVED,
                "Baton: link=LATENCY,BANDWIDTH models a network between the ranks, slow-rank=R:FACTOR a slow rank");
        choice(
                "cpu-kernels",
                "vector",
                List.of("vector", "scalar"),
                SERVED,
                "Baton: the Vector API or its scalar twin");
        add("enable-torch-compile", SWITCH, false, ACCEPTED, "no PyTorch here");
        add("disable-custom-all-reduce", SWITCH, false, ACCEPTED, "there is one all-reduce");
        add("enable-nccl-nvls", SWITCH, false, ACCEPTED, "no NCCL on a CPU");
        add("enable-deterministic-inference", SWITCH, false, ACCEPTED, "it always is");
        add("speculative-algorithm", TEXT, null, NOT_YET, "speculative decoding");
        add("enable-lora", SWITCH, false, NOT_YET, "adapters");
        add("lora-paths", TEXT, null, NOT_YET, "adapters");
        add("enable-hierarchical-cache", SWITCH, false, NOT_YET, "prefix cache in host memory and on disk");
    }

    private static void add(
            String name, FlagType type, @Nullable Object standard, Support support, String meaning, String... aliases) {
        register(new Flag(name, List.of(aliases), type, standard, List.of(), support, meaning));
    }

    private static void choice(
            String name, @Nullable String standard, List<String> choices, Support support, String meaning) {
        register(new Flag(name, List.of(), TEXT, standard, choices, support, meaning));
    }

    private static void register(Flag flag) {
        ALL.add(flag);
        BY_NAME.put(flag.name(), flag);
        for (String alias : flag.aliases()) {
            BY_NAME.put(alias, flag);
        }
    }
}
