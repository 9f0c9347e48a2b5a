package dev.baton.trace.classify;

import static dev.baton.trace.classify.KernelClass.ATTENTION;
import static dev.baton.trace.classify.KernelClass.COLLECTIVE;
import static dev.baton.trace.classify.KernelClass.COMBINE;
import static dev.baton.trace.classify.KernelClass.DISPATCH;
import static dev.baton.trace.classify.KernelClass.ELEMENTWISE;
import static dev.baton.trace.classify.KernelClass.EXPERT_GEMM;
import static dev.baton.trace.classify.KernelClass.GEMM;
import static dev.baton.trace.classify.KernelClass.MEMCPY;
import static dev.baton.trace.classify.KernelClass.NORM;
import static dev.baton.trace.classify.KernelClass.OTHER;
import static dev.baton.trace.classify.KernelClass.SAMPLING;

import dev.baton.trace.read.EventKind;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * The rules that give a kernel its class, tried in order; the first that fits decides. They go by names alone, because
 * kernels replayed from a graph carry nothing else.
 */
public final class KernelRules {
    private static final KernelRule COPY = KernelRule.of("copy-engine", MEMCPY, "");
    private static final KernelRule NONE = KernelRule.of("no-rule", OTHER, "");

    private static final List<KernelRule> BUILT_IN = List.of(
            // Baton's own on GPUs, by their whole names.
            KernelRule.of(
                    "baton-product",
                    GEMM,
                    "^(heads|gated|add|plain_(bf16|float))_\\d+$|^few_\\d+_(bf16|float)$|^(gated|parts)_\\d+_\\d+$|^gated_tiles$"),
            KernelRule.of("baton-expert-product", EXPERT_GEMM, "^(expert|grouped|f8)_(gated|plain|up|down)"),
            KernelRule.of(
                    "baton-attention",
                    ATTENTION,
                    "^(attend|join)_(bf16|float)|^flash_(decode|extend|hopper)_|^latent_\\d"),
            KernelRule.of("baton-norm", NORM, "^(finish|scale)_rows$|^sum_norm_\\d+$"),
            KernelRule.of("baton-heads", ELEMENTWISE, "^sum_heads$"),
            KernelRule.of("baton-sampling", SAMPLING, "^(sample|penalties)$"),
            KernelRule.of("baton-pages", COLLECTIVE, "^move_pages_\\d+$"),
            KernelRule.of("baton-router", OTHER, "^(gate|order_pairs)$|^combine_(bf16|float)$"),
            KernelRule.of("baton-step", OTHER, "^(begin|end)_step$"),
            KernelRule.of(
                    "expert-parallel-layout",
                    OTHER,
                    "(deep_?ep|hybrid_ep).*(get_dispatch_layout|\\bscan\\b|update_expected_value|preprocess)"),
            KernelRule.of(
                    "expert-parallel-dispatch",
                    DISPATCH,
                    "(deep_?ep|hybrid_ep|mori|pplx|internode|intranode|nvep|moe_?a2a|all_?to_?all_?v?.*moe).*dispatch"
                            + "|moe_?dispatch|baton::(ep_)?dispatch"),
            KernelRule.of(
                    "expert-parallel-combine",
                    COMBINE,
                    "(deep_?ep|hybrid_ep|mori|pplx|internode|intranode|nvep|moe_?a2a|all_?to_?all_?v?.*moe).*combine"
                            + "|moe_?combine|baton::(ep_)?combine"),
            KernelRule.of("expert-parallel-sync", COLLECTIVE, "deep_?ep|hybrid_ep|nvshmem"),
            KernelRule.of("nccl", COLLECTIVE, "nccl|rccl|msccl|hccl"),
            KernelRule.of(
                    "custom-collective",
                    COLLECTIVE,
                    "cross_device_reduce|all_?reduce|all_?gather_(kernel|push|pull|into)|reduce_?scatter|all_?to_?all"
                            + "|multimem|one_?shot.*reduce|two_?shot|lamport|quick_?reduce|symm_?mem|send_?recv"
                            + "|baton::(broadcast|all_gather|send|recv|barrier)"),
            KernelRule.of(
                    "sampling",
                    SAMPLING,
                    "argmax|arg_max|sampling|sampl(e|er)_|multinomial|top_?k_?top_?p|topp|top_p|min_p|softmax.*logit"
                            + "|logit|penalt|rejection|distribution_exponential|exponential_kernel"),
            KernelRule.of(
                    "router",
                    OTHER,
                    "moe_fused_gate|topk_softmax|topkgating|grouped_?topk|fused_gate|moe_align|moe_sum|expert_?map"
                            + "|count_and_sort_expert|compute_expert|permute_(indices|tokens)|router"),
            KernelRule.of(
                    "kv-write",
                    ELEMENTWISE,
                    "(set|store|write)_(mla_)?kv|reshape_and_cache|store_?kvcache|concat_and_cast_mha|append_paged_kv"
                            + "|create_.*kv_indices|kv_?buffer|kv_indices"),
            KernelRule.of(
                    "attention",
                    ATTENTION,
                    "fmha|flash_?(attn|attention|fwd|mla|infer.*(prefill|decode))|_?attention|attn_fwd|mha_|\\bmla_|mla::"
                            + "|splitkv|paged_att|unified_att|batch(decode|prefill)|single(decode|prefill)|prefill_?with"
                            + "|decode_?with|fwd_grouped_kernel_stage|fwd_kernel_stage|_fwd_kernel\\b|sdpa|xqa"),
            KernelRule.of(
                    "expert-gemm",
                    EXPERT_GEMM,
                    "group(ed)?_?gemm|gemm_?grouped|fused_?moe|moe_?gemm|moe.*gemm|gemm.*moe|cute_?dsl_?blockscaled_gemm"
                            + "|GemmType\\)[12]|expert.*gemm|masked.*gemm|bmm.*moe|ptrarray|batched_gemm_.*expert"
                            + "|baton::(moe|expert|grouped)_?\\w*"),
            KernelRule.of("rotary", ELEMENTWISE, "rope|rotary"),
            KernelRule.of("embedding", OTHER, "embedding|baton::embed"),
            KernelRule.of(
                    "norm",
                    NORM,
                    "rms_?norm|layer_?norm|group_?norm|batch_?norm|add_?norm|\\bnorm(alize)?(_|::|\\b)|bn_(fw|bw)_|norm_kernel"),
            KernelRule.of(
                    "quantise",
                    ELEMENTWISE,
                    "quant(ize|_8bit|_fp8|_fp4|_kernel)?|cvt_(fp16|bf16|fp32)|to_fp4|to_fp8|scaled_fp|cast_|float_to_"),
            KernelRule.of(
                    "gemm",
                    GEMM,
                    "(?<!fb)gemm|gemv|nvjet|cublas|splitk|cijk_|matmul|xmma|_mm_|\\bmm_|hgemm|sgemm|winograd|conv(olution|2d|_|\\b)"
                            + "|implicit_|wgmma|dgrad|wgrad|fprop|cutlass.*(kernel|device_kernel)|baton::linear"
                            + "|baton::matmul|dot_kernel|scudnn"),
            KernelRule.of("activation", ELEMENTWISE, "silu|gelu|swiglu|act_and_mul|activation|relu"),
            KernelRule.of(
                    "elementwise",
                    ELEMENTWISE,
                    "elementwise|triton_poi|vectorized_|copy_kernel|\\bcopy|fill|add_|mul_|cat_?array|arange|where|index"
                            + "|gather|scatter|transpose|permute|memset|memcpy|nchwTo|nhwcTo|pool|multi_tensor_apply"
                            + "|baton::(add|multiply|silu|rotary)"),
            KernelRule.of("reduction", OTHER, "reduce|scan|sort|select|unique"));

    private final List<KernelRule> rules;

    private KernelRules(List<KernelRule> rules) {
        this.rules = rules;
    }

    /** The rules that come with Baton. */
    public static KernelRules builtIn() {
        return new KernelRules(BUILT_IN);
    }

    /** These rules after an own one that is tried before them. */
    public KernelRules before(String id, KernelClass kernelClass, Pattern pattern) {
        List<KernelRule> all = new ArrayList<>();
        all.add(new KernelRule(id, kernelClass, pattern));
        all.addAll(rules);
        return new KernelRules(all);
    }

    /** The rule that decides on an event; {@code no-rule} when none fits. */
    public KernelRule rule(EventKind kind, String name) {
        if (kind == EventKind.MEMCPY || kind == EventKind.MEMSET) {
            return COPY;
        }
        for (KernelRule rule : rules) {
            if (rule.pattern().matcher(name).find()) {
                return rule;
            }
        }
        return NONE;
    }
}
