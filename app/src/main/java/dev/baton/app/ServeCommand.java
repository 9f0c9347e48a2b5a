package dev.baton.app;

import dev.baton.engine.Engine;
import dev.baton.engine.EngineException;
import dev.baton.engine.EngineInfo;
import dev.baton.model.config.GenerationDefaults;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.flag.Flag;
import dev.baton.protocol.flag.LaunchFlags;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.serve.BatonServer;
import dev.baton.serve.ServeConfig;
import dev.baton.serve.Warmup;
import java.lang.System.Logger;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/** {@code baton serve}: loads a model and serves it until it is told to end. The flags are the catalogue's. */
@Command(
        name = "serve",
        aliases = "launch_server",
        description = "Serves a model (SGLang's launch flags; --help lists them).")
final class ServeCommand implements Callable<Integer> {
    private static final Logger LOG = System.getLogger(ServeCommand.class.getName());
    private static final Duration WARMUP = Duration.ofMinutes(10);
    private static final Duration LAST_ANSWERS = Duration.ofSeconds(3);

    @Unmatched
    List<String> words = new ArrayList<>();

    @Override
    public Integer call() throws InterruptedException {
        if (words.contains("--help") || words.contains("-h")) {
            System.out.print(help());
            return 0;
        }
        ServerArgs args = ServerArgs.parse(words);
        LogLevels.apply(args.text("log-level"));
        LOG.log(Logger.Level.INFO, "server_args=" + args);
        args.warnings().forEach(w -> LOG.log(Logger.Level.WARNING, w));
        if (NodeFlags.isFollower(args)) {
            return FollowerNode.serve(args);
        }
        PdRole role = PdRole.of(args);
        EngineAssembly assembly = EngineAssembly.start(args, role);
        try (BatonServer server = BatonServer.start(config(args, assembly), assembly.engine(), codec(args, assembly))) {
            LOG.log(Logger.Level.INFO, "Baton running on " + server.url() + " (Press CTRL+C to quit)");
            Thread hook = new Thread(() -> stop(server, assembly, role), "baton-stop");
            Runtime.getRuntime().addShutdownHook(hook);
            EngineInfo info = assembly.engine().info();
            if (args.on("skip-server-warmup")) {
                Warmup.announce(server);
            } else {
                Warmup.run(server, info.role(), info.dataParallel(), assembly.tokenizer() != null, WARMUP);
            }
            String reason = assembly.lost().join();
            LOG.log(Logger.Level.ERROR, "the server ends: " + reason);
            letRequestsEnd(assembly.engine());
            throw new EngineException(EngineException.Code.UNAVAILABLE, "the server has ended: " + reason);
        } catch (RuntimeException | Error e) {
            // Also what should never happen must not leave ranks that keep the process alive.
            assembly.close();
            role.close();
            throw e;
        }
    }

    /** Ranks have gone: every live request is about to get its error. */
    private static void letRequestsEnd(Engine engine) throws InterruptedException {
        long until = System.nanoTime() + LAST_ANSWERS.toNanos();
        while (System.nanoTime() < until && engine.load().stream().anyMatch(l -> l.runningRequests() > 0)) {
            Thread.sleep(20);
        }
    }

    private static void stop(BatonServer server, EngineAssembly assembly, PdRole role) {
        server.close();
        assembly.close();
        role.close();
    }

    private static TokenizerCodec codec(ServerArgs args, EngineAssembly assembly) {
        String tokenizerPath = args.textOrNull("tokenizer-path");
        Path folder = Path.of(tokenizerPath == null ? args.text("model-path") : tokenizerPath);
        return new TokenizerCodec(assembly.tokenizer(), ChatTemplates.find(folder, args.textOrNull("chat-template")));
    }

    private static ServeConfig config(ServerArgs args, EngineAssembly assembly) {
        String name = args.textOrNull("served-model-name");
        String tokenizer = args.textOrNull("tokenizer-path");
        Map<String, Object> map = new TreeMap<>();
        args.asMap().forEach(map::put);
        return ServeConfig.of(args.text("model-path"))
                .host(args.text("host"))
                .port(args.integer("port"))
                .servedModelName(name == null ? args.text("model-path") : name)
                .tokenizerPath(tokenizer == null ? args.text("model-path") : tokenizer)
                .apiKey(args.textOrNull("api-key"))
                .metrics(args.on("enable-metrics"))
                .streamInterval(args.integer("stream-interval"))
                .bootstrapPort(args.integer("disaggregation-bootstrap-port"))
                .chatDefaults(chatDefaults(args, assembly))
                .toolCallParser(args.textOrNull("tool-call-parser"))
                .reasoningParser(args.textOrNull("reasoning-parser"))
                .serverArgs(map)
                .version(Baton.VERSION)
                .build();
    }

    /** What a chat body leaves out comes from the model's generation_config, unless the flag says otherwise. */
    private static SamplingParams chatDefaults(ServerArgs args, EngineAssembly assembly) {
        if (!args.text("sampling-defaults").equals("model")) {
            return SamplingParams.DEFAULT;
        }
        GenerationDefaults defaults = assembly.config().generation();
        SamplingParams.Builder params = SamplingParams.DEFAULT.toBuilder();
        if (defaults.temperature() != null) {
            params.temperature(defaults.temperature().floatValue());
        }
        if (defaults.topP() != null) {
            params.topP(defaults.topP().floatValue());
        }
        if (defaults.topK() != null) {
            params.topK(defaults.topK());
        }
        if (defaults.repetitionPenalty() != null) {
            params.repetitionPenalty(defaults.repetitionPenalty().floatValue());
        }
        return params.build();
    }

    private static String help() {
        StringBuilder text = new StringBuilder(
                "Usage: baton serve --model-path DIR [flags]\n\nFlags (SGLang's names and defaults):\n");
        for (Flag.Support support : Flag.Support.values()) {
            text.append(
                    switch (support) {
                        case SERVED -> "";
                        case ACCEPTED -> "\nAccepted, without effect here:\n";
                        case NOT_YET -> "\nKnown, not yet served:\n";
                    });
            for (Flag flag : LaunchFlags.all()) {
                if (flag.support() == support) {
                    String standard = flag.standard() == null || flag.standard().equals(false)
                            ? ""
                            : " [" + flag.standard() + "]";
                    text.append(String.format("  --%-42s %s%s%n", flag.name(), flag.meaning(), standard));
                }
            }
        }
        return text.toString();
    }
}
