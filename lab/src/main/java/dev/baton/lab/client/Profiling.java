package dev.baton.lab.client;

import dev.baton.lab.LabException;
import java.io.PrintStream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code --profile}: starts and stops a profile on the server, or on the named workers behind a router. */
final class Profiling {
    /** Stopping writes the traces before it answers. */
    private static final Duration DEADLINE = Duration.ofMinutes(10);

    private final ServingBenchmarkConfig config;
    private final ServerCalls calls;
    private final PrintStream console;
    private final List<URI> servers;

    Profiling(ServingBenchmarkConfig config, URI target, ServerCalls calls, PrintStream console) {
        this.config = config;
        this.calls = calls;
        this.console = console;
        this.servers = servers(config, target);
    }

    private static List<URI> servers(ServingBenchmarkConfig config, URI target) {
        List<String> named =
                config.profilePrefillUrl() != null ? config.profilePrefillUrl() : config.profileDecodeUrl();
        return !config.pdSeparated() || named == null
                ? List.of(target)
                : named.stream().map(ServerCalls::uri).toList();
    }

    void start() {
        if (!config.profile()) {
            return;
        }
        console.println("Starting profiler...");
        for (URI server : servers) {
            ServerCalls.Reply reply = calls.post(server, "/start_profile", request(), DEADLINE);
            if (!reply.ok()) {
                throw new LabException(
                        LabException.Code.SERVER,
                        "/start_profile of " + server + " answered " + reply.status() + ": "
                                + reply.body().strip());
            }
        }
        console.println("Profiler started");
    }

    /** With a number of steps the server stops by itself. */
    void stop() {
        if (!config.profile() || config.profileNumSteps() != null) {
            return;
        }
        console.println("Stopping profiler...");
        for (URI server : servers) {
            ServerCalls.Reply reply = calls.post(server, "/stop_profile", null, DEADLINE);
            console.println(
                    reply.ok()
                            ? "Profiler stopped"
                            : "Warning: /stop_profile of " + server + " answered " + reply.status() + ": "
                                    + reply.body().strip());
        }
    }

    private ObjectNode request() {
        ObjectNode json = ServerCalls.JSON.createObjectNode();
        strings(json, "activities", config.profileActivities());
        if (config.profileNumSteps() != null) {
            json.put("num_steps", config.profileNumSteps());
        }
        json.put("profile_by_stage", config.profileByStage());
        strings(json, "profile_stages", config.profileStages());
        if (config.profileStartStep() != null) {
            json.put("start_step", config.profileStartStep());
        }
        if (config.profilePrefix() != null) {
            json.put("profile_prefix", config.profilePrefix());
        }
        if (config.profileOutputDir() != null) {
            json.put("output_dir", config.profileOutputDir());
        }
        return json;
    }

    private static void strings(ObjectNode json, String key, @Nullable List<String> values) {
        if (values != null) {
            ArrayNode array = json.putArray(key);
            values.forEach(array::add);
        }
    }
}
