package dev.baton.protocol.flag;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.protocol.ProtocolException;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ServerArgsTest {
    @Test
    void defaultsOfFlagsThatAreServed() {
        String pinned = LaunchFlags.all().stream()
                .filter(f -> f.support() == Flag.Support.SERVED && f.standard() != null && f.type() != FlagType.SWITCH)
                .map(f -> f.name() + "=" + f.standard())
                .collect(Collectors.joining(" "));
        assertThat(pinned)
                .isEqualTo(
                        "load-format=auto sampling-defaults=model dtype=auto kv-cache-dtype=auto nnodes=1 node-rank=0 watchdog-timeout=300.0 log-level=info"
                                + " decode-log-interval=40 stream-interval=1 host=127.0.0.1 port=30000 max-prefill-tokens=16384"
                                + " page-size=1 schedule-policy=fcfs schedule-conservativeness=1.0 tp-size=1 dp-size=1"
                                + " load-balance-method=round_robin pp-size=1 pp-async-batch-depth=0 ep-size=1"
                                + " moe-a2a-backend=none deepep-mode=auto moe-dispatch-dtype=float32"
                                + " tbo-token-distribution-threshold=0.48"
                                + " init-expert-location=trivial ep-num-redundant-experts=0 eplb-algorithm=auto"
                                + " eplb-rebalance-num-iterations=1000 eplb-min-rebalancing-utilization-threshold=1.0"
                                + " disaggregation-mode=null disaggregation-transfer-backend=auto"
                                + " disaggregation-bootstrap-port=8998 disaggregation-prefill-pp=1 device=auto base-gpu-id=0 gpu-id-step=1"
                                + " cpu-kernels=vector");
        assertThat(LaunchFlags.all())
                .filteredOn(f -> f.type() == FlagType.SWITCH)
                .allSatisfy(f -> assertThat(f.standard()).isEqualTo(false));
    }

    @Test
    void valuesAliasesPrefixesAndEquals() {
        ServerArgs args = ServerArgs.parse(List.of(
                "--model",
                "m",
                "--tp",
                "2",
                "--port=0",
                "--data-parallel-size",
                "3",
                "--max-run",
                "7",
                "--disable-radix-cache"));
        assertThat(args.text("model-path")).isEqualTo("m");
        assertThat(args.integer("tp-size")).isEqualTo(2);
        assertThat(args.integer("dp-size")).isEqualTo(3);
        assertThat(args.integer("port")).isZero();
        assertThat(args.integer("max-running-requests")).isEqualTo(7);
        assertThat(args.on("disable-radix-cache")).isTrue();
        assertThat(args.isGiven("port")).isTrue();
        assertThat(args.isGiven("host")).isFalse();
        assertThat(args.asMap()).containsEntry("tp_size", 2).containsEntry("disaggregation_mode", null);
        assertThat(args.toString())
                .startsWith("ServerArgs(model_path='m', tokenizer_path=None, skip_tokenizer_init=False");
    }

    @Test
    void aFlagOfSeveralWordsTakesThemAllAndAddsWhatIsGivenAgain() {
        assertThat(ServerArgs.parse(List.of("--rehearse", "a", "b", "--tp=2", "--rehearse", "c", "--rehearse=d"))
                        .texts("rehearse"))
                .containsExactly("a", "b", "c", "d");
        assertThat(ServerArgs.parse(List.of()).texts("rehearse")).isEmpty();
    }

    @Test
    void everyFlagThatIsNotServedYetSaysSo() {
        for (Flag flag : LaunchFlags.all()) {
            if (flag.support() != Flag.Support.NOT_YET) {
                continue;
            }
            List<String> words = switch (flag.type()) {
                case SWITCH -> List.of("--" + flag.name());
                case INTEGER, INTEGERS -> List.of("--" + flag.name(), "77");
                case DECIMAL -> List.of("--" + flag.name(), "0.77");
                case TEXT, TEXTS -> List.of("--" + flag.name(), "something");
            };
            assertThatThrownBy(() -> ServerArgs.parse(words))
                    .hasMessageContaining("--" + flag.name() + " is not yet served")
                    .extracting(e -> ((ProtocolException) e).code())
                    .isEqualTo(ProtocolException.Code.NOT_YET);
        }
        assertThat(ServerArgs.parse(List.of("--pp-size", "1")).integer("pp-size"))
                .isEqualTo(1);
    }

    @Test
    void faultsNameTheFlagAndTheRemedy() {
        fails(
                "unrecognized arguments: --chunked-prefil-sise (did you mean --chunked-prefill-size?)",
                "--chunked-prefil-sise",
                "1");
        fails("argument --port: invalid int value: 'x'", "--port", "x");
        fails("argument --port: expected one argument", "--port");
        fails("argument --enable-metrics: takes no value", "--enable-metrics=true");
        fails(
                "argument --schedule-policy: invalid choice: 'best' (choose from fcfs, lpm)",
                "--schedule-policy",
                "best");
        fails("ambiguous option: --disable-cuda-graph-", "--disable-cuda");
        fails("unrecognized arguments: stray", "stray");
    }

    @Test
    void flagsOfOtherHardwareAreAcceptedWithOneWarning() {
        ServerArgs args = ServerArgs.parse(
                List.of("--disaggregation-ib-device", "mlx5_0", "--cuda-graph-bs", "1", "2", "4", "--host", "h"));
        assertThat(args.warnings())
                .hasSize(2)
                .first()
                .asString()
                .contains("--disaggregation-ib-device has no effect here");
        assertThat(args.text("host")).isEqualTo("h");
    }

    private static void fails(String message, String... words) {
        assertThatThrownBy(() -> ServerArgs.parse(List.of(words)))
                .isInstanceOf(ProtocolException.class)
                .hasMessageContaining(
                        message.startsWith("ambiguous") ? "ambiguous option: --disable-cuda could match" : message);
    }
}
