package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.engine.grammar.GrammarCompiler;
import dev.baton.engine.grammar.GrammarVocabulary;
import dev.baton.engine.node.NodeFollower;
import dev.baton.engine.node.NodeShare;
import dev.baton.engine.parallel.LoadOptions;
import dev.baton.engine.parallel.ModelLoader;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.engine.record.Profiler;
import dev.baton.engine.rehearse.Rehearsal;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.protocol.flag.ServerArgs;
import dev.baton.serve.NodeServer;
import dev.baton.tensor.parallel.NodeMesh;
import java.lang.System.Logger;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** A node that is not node 0: its ranks do what node 0 decides, until node 0 ends. */
final class FollowerNode {
    private static final Logger LOG = System.getLogger(FollowerNode.class.getName());

    private FollowerNode() {}

    /**
     * Serves until the server ends.
     *
     * @return 0 when node 0 ended in good order, 1 when something failed
     */
    static int serve(ServerArgs args) throws InterruptedException {
        Path folder = EngineAssembly.modelFolder(args);
        LoadOptions.Format format = EngineAssembly.format(args);
        ParallelShape shape = ParallelFlags.shape(args);
        PipelineFlags.requireSound(args, shape);
        try (ModelLoader loader = ModelLoader.open(folder, format, 1);
                PdRole role = PdRole.of(args);
                NodeShare share = NodeFlags.join(args, shape, folder)) {
            Devices devices = Devices.of(args, loader.config());
            NodeFollower follower = NodeFollower.listen(share);
            Thread hook = new Thread(share::close, "baton-stop");
            Runtime.getRuntime().addShutdownHook(hook);
            LoadOptions options = EngineAssembly.loadOptions(args, shape, loader.config(), devices, format, role);
            Rehearsal rehearsal = EngineAssembly.rehearsal(args, shape);
            List<RankGroup> groups = List.of();
            try (NodeServer http = NodeServer.start(args.text("host"), args.integer("port"));
                    GrammarCompiler grammars = grammars(args, loader, folder, format)) {
                groups = EngineAssembly.startGroups(loader, options, devices, rehearsal, 0, share);
                try (Profiler profiler = new Profiler(groups, rehearsal.note())) {
                    follower.follow(
                            groups,
                            profiler,
                            spec -> grammars.compile(spec).matcher(),
                            role.follow(groups, args.integer("page-size"), share));
                    LOG.log(
                            Logger.Level.INFO,
                            "node " + args.integer("node-rank") + " has ranks " + share.first() + " to "
                                    + (share.first() + share.count(shape.replicaRanks()) - 1)
                                    + "; node 0 serves. Health checks are answered at port " + http.port());
                    return ended(share);
                }
            } catch (RuntimeException e) {
                share.failed(e);
                throw e;
            } finally {
                role.endTransfers();
                groups.forEach(RankGroup::close);
            }
        }
    }

    /** For answers whose tokens a rank of this node chooses; the vocabulary is read when the first one comes. */
    private static GrammarCompiler grammars(
            ServerArgs args, ModelLoader loader, Path folder, LoadOptions.Format format) {
        return new GrammarCompiler(() -> {
            Tokenizer tokenizer = EngineAssembly.tokenizer(args, folder, format);
            if (tokenizer == null) {
                throw new EngineException(
                        EngineException.Code.CONFIGURATION, "an answer has a grammar and this node no tokenizer");
            }
            return GrammarVocabulary.of(
                    tokenizer,
                    loader.config().vocabSize(),
                    new HashSet<>(loader.config().eosIds()));
        });
    }

    private static int ended(NodeShare share) throws InterruptedException {
        CompletableFuture<NodeMesh.End> over = new CompletableFuture<>();
        share.whenOver(over::complete);
        NodeMesh.End end = over.join();
        if (end.ended() == 0) {
            LOG.log(Logger.Level.INFO, end.text());
            return 0;
        }
        throw new EngineException(EngineException.Code.UNAVAILABLE, "the server has ended: " + end.text());
    }
}
