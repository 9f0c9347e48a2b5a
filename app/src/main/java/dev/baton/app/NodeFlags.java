package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.engine.node.NodeJoin;
import dev.baton.engine.node.NodeOptions;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.tensor.parallel.NodeMesh;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** {@code --nnodes}, {@code --node-rank}, {@code --dist-init-addr}: from flags to a node's share of the ranks. */
final class NodeFlags {
    private static final Duration JOIN_LIMIT = Duration.ofMinutes(5);

    /** What nodes may have each their own of; every other flag must be the same on all. */
    private static final Set<String> OWN = Set.of(
            "node_rank",
            "host",
            "port",
            "model_path",
            "tokenizer_path",
            "served_model_name",
            "chat_template",
            "dist_init_addr",
            "dist_timeout",
            "log_level",
            "api_key",
            "cpu_threads",
            "mem_fraction_static",
            "enable_metrics",
            "skip_server_warmup");

    /** What decides with the flags how ranks work together. */
    private static final List<String> ENVIRONMENT = List.of(PipelineFlags.PARTITION, ParallelFlags.MAX_TOKENS);

    private NodeFlags() {}

    /** Whether the flags ask for several JVMs. */
    static boolean areSeveral(ServerArgs args) {
        return args.integer("nnodes") > 1;
    }

    /** Whether this node does what node 0 decides. */
    static boolean isFollower(ServerArgs args) {
        return areSeveral(args) && args.integer("node-rank") > 0;
    }

    /**
     * Meets the other nodes.
     *
     * @throws EngineException CONFIGURATION when the flags do not go together or differ between the nodes; UNAVAILABLE
     *     when a node does not come
     */
    static NodeShare join(ServerArgs args, ParallelShape shape, Path folder) {
        requireServed(args, shape);
        NodeShare.requireDivides(shape, args.integer("nnodes"));
        String address = args.textOrNull("dist-init-addr");
        if (address == null) {
            throw invalid("--nnodes " + args.integer("nnodes")
                    + " needs --dist-init-addr HOST:PORT, the same on every node: where node 0 listens for the others");
        }
        Integer seconds = args.integerOrNull("dist-timeout");
        NodeOptions options = NodeOptions.of(
                args.integer("nnodes"),
                args.integer("node-rank"),
                address,
                seconds == null ? JOIN_LIMIT : Duration.ofSeconds(seconds));
        NodeMesh mesh = NodeJoin.join(options, facts(args, folder));
        return new NodeShare(mesh, shape);
    }

    private static void requireServed(ServerArgs args, ParallelShape shape) {
        if (shape.replicas() > 1) {
            throw invalid("--dp-size " + shape.dataParallel() + " with --nnodes " + shape.nodes()
                    + " needs --enable-dp-attention: replicas of a whole model do not share hosts; start one server for"
                    + " each and a router in front");
        }
        if (args.text("device").equals("cuda")) {
            throw notYet("--device cuda");
        }
    }

    private static EngineException notYet(String flag) {
        return invalid(
                flag + " is not yet served with --nnodes above 1 by this version of Baton; leave one of them out");
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }

    /** What must be the same on all nodes. */
    private static Map<String, String> facts(ServerArgs args, Path folder) {
        Map<String, String> facts = new TreeMap<>();
        facts.put("Baton's version", Baton.VERSION);
        facts.put("the model (config.json and the sizes of its weights)", digest(folder));
        for (String variable : ENVIRONMENT) {
            facts.put("the environment's " + variable, System.getenv().getOrDefault(variable, "unset"));
        }
        for (Map.Entry<String, @Nullable Object> flag : args.asMap().entrySet()) {
            if (!OWN.contains(flag.getKey())) {
                facts.put("--" + flag.getKey().replace('_', '-'), String.valueOf(flag.getValue()));
            }
        }
        return facts;
    }

    private static String digest(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(Files.readAllBytes(folder.resolve("config.json")));
            List<Path> weights = files.filter(f -> f.toString().endsWith(".safetensors"))
                    .sorted()
                    .toList();
            for (Path file : weights) {
                String line = file.getFileName() + " " + Files.size(file) + "\n";
                digest.update(line.getBytes(StandardCharsets.UTF_8));
            }
            return HexFormat.of().formatHex(digest.digest(), 0, 6);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
