package dev.baton.engine.parallel;

import dev.baton.engine.EngineException;
import dev.baton.engine.arch.AllToAll;
import dev.baton.engine.arch.ExpertShard;
import dev.baton.engine.arch.Layout;
import dev.baton.engine.arch.Shard;
import dev.baton.engine.arch.Stage;
import dev.baton.engine.balance.RankExperts;
import dev.baton.model.config.ModelConfig;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How a whole server is spread over ranks: what SGLang's parallel flags say, and the arithmetic that follows. Ranks of
 * one replica are numbered stage by stage: rank = stage * tp + tp rank; within a stage, attention groups are contiguous
 * and so are the ranks that share one expert's columns.
 *
 * @param tensorParallel ranks of one stage ({@code --tp-size})
 * @param dataParallel schedulers ({@code --dp-size}): replicas, or attention groups inside one replica
 * @param dataParallelAttention whether they are attention groups ({@code --enable-dp-attention})
 * @param expertParallel parts into which the experts of a layer are divided ({@code --ep-size})
 * @param pipelineParallel stages ({@code --pp-size})
 * @param wholeDense dense layers are whole on every rank ({@code --moe-dense-tp-size 1})
 * @param dataParallelHead the output projection is split over an attention group only ({@code --enable-dp-lm-head})
 * @param allToAll how tokens reach their experts
 * @param nodes JVMs that share the ranks ({@code --nnodes})
 */
public record ParallelShape(
        int tensorParallel,
        int dataParallel,
        boolean dataParallelAttention,
        int expertParallel,
        int pipelineParallel,
        boolean wholeDense,
        boolean dataParallelHead,
        AllToAll allToAll,
        int nodes) {

    /** One rank. */
    public static final ParallelShape SINGLE = tensorParallel(1);

    /** @throws EngineException CONFIGURATION when the numbers do not go together; the message shows the arithmetic */
    public ParallelShape {
        requirePositive("--tp-size", tensorParallel);
        requirePositive("--dp-size", dataParallel);
        requirePositive("--ep-size", expertParallel);
        requirePositive("--pp-size", pipelineParallel);
        requirePositive("--nnodes", nodes);
        if (dataParallelAttention) {
            requireDivides(
                    "--dp-size",
                    dataParallel,
                    "--tp-size",
                    tensorParallel,
                    "with --enable-dp-attention an attention group has tp / dp ranks");
        }
        requireDivides(
                "--ep-size",
                expertParallel,
                "--tp-size",
                tensorParallel,
                "an expert's columns are shared by tp / ep ranks");
        if (allToAll != AllToAll.NONE && expertParallel != tensorParallel) {
            throw invalid("--moe-a2a-backend deepep needs whole experts on every rank: tp / ep = " + tensorParallel
                    + " / " + expertParallel + " must be 1; leave out --ep-size or set it to " + tensorParallel);
        }
        if (dataParallelHead && !dataParallelAttention) {
            throw invalid("--enable-dp-lm-head splits the vocabulary inside an attention group, and without"
                    + " --enable-dp-attention (and --dp-size above 1) there is one group; leave it out or add those");
        }
    }

    /** Plain tensor parallelism. */
    public static ParallelShape tensorParallel(int ranks) {
        return new ParallelShape(ranks, 1, false, 1, 1, false, false, AllToAll.NONE, 1);
    }

    /** Attention in {@code groups} groups that share the rest of the model. */
    public ParallelShape withDataParallelAttention(int groups) {
        return new ParallelShape(
                tensorParallel,
                groups,
                true,
                expertParallel,
                pipelineParallel,
                wholeDense,
                dataParallelHead,
                allToAll,
                nodes);
    }

    /** Experts in {@code parts} parts. */
    public ParallelShape withExpertParallel(int parts) {
        return new ParallelShape(
                tensorParallel,
                dataParallel,
                dataParallelAttention,
                parts,
                pipelineParallel,
                wholeDense,
                dataParallelHead,
                allToAll,
                nodes);
    }

    /** Tokens travel to their experts, of which every rank holds its part whole. */
    public ParallelShape withAllToAll(AllToAll kind) {
        return new ParallelShape(
                tensorParallel,
                dataParallel,
                dataParallelAttention,
                tensorParallel,
                pipelineParallel,
                wholeDense,
                dataParallelHead,
                kind,
                nodes);
    }

    /** Layers in {@code stages} stages. */
    public ParallelShape withPipelineParallel(int stages) {
        return new ParallelShape(
                tensorParallel,
                dataParallel,
                dataParallelAttention,
                expertParallel,
                stages,
                wholeDense,
                dataParallelHead,
                allToAll,
                nodes);
    }

    /** Dense layers whole on every rank or not, the output projection inside an attention group or not. */
    public ParallelShape withDense(boolean whole, boolean headInGroup) {
        return new ParallelShape(
                tensorParallel,
                dataParallel,
                dataParallelAttention,
                expertParallel,
                pipelineParallel,
                whole,
                headInGroup,
                allToAll,
                nodes);
    }

    /** Copies of the whole model. */
    public int replicas() {
        return dataParallelAttention ? 1 : dataParallel;
    }

    /** Schedulers of one replica: its attention groups. */
    public int attentionGroups() {
        return dataParallelAttention ? dataParallel : 1;
    }

    /** Ranks of a stage that share one attention group. */
    public int attentionTensorParallel() {
        return tensorParallel / attentionGroups();
    }

    /** Ranks that share the columns of one expert. */
    public int expertTensorParallel() {
        return tensorParallel / expertParallel;
    }

    /** Ranks of one replica. */
    public int replicaRanks() {
        return tensorParallel * pipelineParallel;
    }

    /** Ranks of the server. */
    public int worldRanks() {
        return replicaRanks() * replicas();
    }

    /**
     * One scheduler's part of a number that counts for a replica (running requests, tokens of a prefill chunk).
     *
     * @param flag the number's, for the error
     */
    public int perScheduler(String flag, int value) {
        int groups = attentionGroups();
        if (value > 0 && value / groups == 0) {
            throw invalid(flag + " " + value + " leaves nothing for each of " + groups + " attention groups: " + value
                    + " / " + groups + " = 0; set it to at least " + groups);
        }
        return value > 0 ? value / groups : value;
    }

    /** Pipeline stage of a rank of a replica. */
    public int stageOf(int rank) {
        return rank / tensorParallel;
    }

    /** Rank within its stage. */
    public int tensorRankOf(int rank) {
        return rank % tensorParallel;
    }

    /** The ranks of a rank's place in every stage, in the order of the stages. */
    public List<Integer> ranksOfPlace(int rank) {
        return IntStream.range(0, pipelineParallel)
                .mapToObj(stage -> stage * tensorParallel + tensorRankOf(rank))
                .toList();
    }

    /** Attention group of a rank. */
    public int attentionGroupOf(int rank) {
        return tensorRankOf(rank) / attentionTensorParallel();
    }

    /** Ranks of a replica that serve an attention group, stage by stage. */
    public int[] ranksOf(int group) {
        int inStage = attentionTensorParallel();
        int[] ranks = new int[inStage * pipelineParallel];
        for (int i = 0; i < ranks.length; i++) {
            ranks[i] = i / inStage * tensorParallel + group * inStage + i % inStage;
        }
        return ranks;
    }

    /** Which experts' slots are a rank's, and whose tokens it gates. */
    public RankExperts.Place expertPlace(int rank) {
        int columns = expertTensorParallel();
        int tensorRank = tensorRankOf(rank);
        return new RankExperts.Place(
                rank, stageOf(rank), tensorRank / columns, tensorRank % columns, allToAll != AllToAll.NONE);
    }

    /** What a rank of a replica holds. */
    public Layout layout(int rank) {
        int tensorRank = tensorRankOf(rank);
        Shard tensor = new Shard(tensorRank, tensorParallel);
        Shard attention = new Shard(tensorRank % attentionTensorParallel(), attentionTensorParallel());
        return new Layout(
                new Shard(attentionGroupOf(rank), attentionGroups()),
                attention,
                wholeDense ? Shard.WHOLE : tensor,
                allToAll == AllToAll.NONE ? tensor : Shard.WHOLE,
                new ExpertShard(
                        new Shard(tensorRank / expertTensorParallel(), expertParallel),
                        new Shard(tensorRank % expertTensorParallel(), expertTensorParallel()),
                        allToAll),
                dataParallelAttention ? Shard.WHOLE : tensor,
                dataParallelHead ? attention : tensor,
                new Stage(stageOf(rank), pipelineParallel));
    }

    /**
     * Checks what depends on the model; whether experts divide depends on their redundancy and is checked with it.
     *
     * @throws EngineException CONFIGURATION, with the arithmetic
     */
    public void requireFits(ModelConfig config) {
        if (config.moe() == null && expertParallel > 1) {
            throw invalid((allToAll == AllToAll.NONE ? "--ep-size " + expertParallel : "--moe-a2a-backend deepep")
                    + ": " + config.architecture().className() + " has no experts; leave it out");
        }
    }

    private static void requirePositive(String flag, int value) {
        if (value < 1) {
            throw invalid(flag + " must be at least 1, got " + value);
        }
    }

    private static void requireDivides(String flag, int value, String totalFlag, int total, String why) {
        if (total % value != 0) {
            throw invalid(flag + " " + value + " does not divide " + totalFlag + " " + total + ": " + total + " = "
                    + total / value + " * " + value + " + " + total % value + "; " + why);
        }
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
