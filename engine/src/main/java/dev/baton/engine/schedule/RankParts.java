package dev.baton.engine.schedule;

import dev.baton.protocol.log.RankLabel;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * What one DP rank's scheduler is made of.
 *
 * @param dpRank its number
 * @param config how it schedules
 * @param executor its ranks
 * @param endTokenIds tokens that end an answer
 * @param vocabularySize ids are below this
 * @param roles its role in disaggregated serving; {@link UnifiedRole} for none
 * @param observers told of every step
 * @param label how its log lines name it
 * @param cuda whether the device's graphs are CUDA graphs, for the log line
 * @param log takes finished log lines, prefix included
 */
public record RankParts(
        int dpRank,
        SchedulerConfig config,
        StepExecutor executor,
        Set<Integer> endTokenIds,
        int vocabularySize,
        RoleQueues.Factory roles,
        List<StepObserver> observers,
        RankLabel label,
        boolean cuda,
        Consumer<String> log) {}
