package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.lab.client.ServingBenchmarkConfig;
import dev.baton.protocol.ProtocolException;
import dev.baton.serve.router.RouterConfig;
import dev.baton.serve.router.WorkerAddress;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class BenchAndRouteFlagsTest {
    private static Set<String> flags(Object command) {
        return new CommandLine(command)
                .getCommandSpec().options().stream()
                        .filter(option -> !option.hidden())
                        .map(option -> option.longestName().substring(2).replace('-', '_'))
                        .collect(Collectors.toSet());
    }

    @Test
    void everyKeyOfTheConfigurationsIsAFlagAndNoFlagIsUnknown() {
        Set<String> serving = flags(new BenchServingCommand());
        serving.removeAll(Set.of("help", "version"));
        assertThat(serving)
                .containsExactlyInAnyOrderElementsOf(
                        ServingBenchmarkConfig.defaults().toJson().propertyNames());
        Set<String> route = flags(new RouteCommand());
        route.removeAll(Set.of("help", "version"));
        for (String flag : route) {
            assertThat(RouterConfig.defaults().toJson().has(flag)).as(flag).isTrue();
        }
        assertThat(route).hasSize(RouterConfig.defaults().toJson().size());
    }

    @Test
    void onlyGivenFlagsArePassedOn() {
        BenchServingCommand command = new BenchServingCommand();
        new CommandLine(command)
                .parseArgs(
                        "--num-prompts",
                        "5",
                        "--flush-cache",
                        "--profile-activities",
                        "CPU",
                        "GPU",
                        "--request-rate",
                        "inf");
        Map<String, Object> given = GivenFlags.of(command.spec);
        assertThat(given)
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "num-prompts",
                        5,
                        "flush-cache",
                        true,
                        "profile-activities",
                        List.of("CPU", "GPU"),
                        "request-rate",
                        "inf"));
        assertThat(ServingBenchmarkConfig.of(given).numPrompts()).isEqualTo(5);
    }

    @Test
    void prefillServersTakeAPortOrNoneBehindTheirUrl() {
        RouteCommand command = new RouteCommand();
        new CommandLine(command)
                .parseArgs(
                        "--pd-disaggregation",
                        "--prefill",
                        "http://a:1",
                        "8998",
                        "--prefill",
                        "http://b:2",
                        "none",
                        "--prefill",
                        "http://c:3",
                        "--decode",
                        "http://d:4",
                        "--decode",
                        "http://e:5");
        assertThat(RouteCommand.addresses(command.prefill, null))
                .containsExactly(
                        new WorkerAddress("http://a:1", 8998),
                        WorkerAddress.of("http://b:2"),
                        WorkerAddress.of("http://c:3"));
        assertThat(RouteCommand.addresses(command.decode, null)).hasSize(2);
        assertThat(RouteCommand.addresses(List.of("http://a:1", "http://b:2"), List.of("7", "8")))
                .containsExactly(new WorkerAddress("http://a:1", 7), new WorkerAddress("http://b:2", 8));
        assertThatThrownBy(() -> RouteCommand.addresses(List.of("host:1"), null))
                .isInstanceOf(ProtocolException.class)
                .hasMessageContaining("http://host:port");
        assertThatThrownBy(() -> RouteCommand.addresses(List.of("http://a:1", "99999"), null))
                .hasMessageContaining("99999");
    }

    @Test
    void aMistypedFlagIsRefusedWithASuggestion() {
        CommandLine line = new CommandLine(new RouteCommand());
        assertThatThrownBy(() -> line.parseArgs("--polcy", "random"))
                .isInstanceOfSatisfying(
                        CommandLine.UnmatchedArgumentException.class,
                        e -> assertThat(e.getSuggestions()).contains("--policy"));
    }
}
