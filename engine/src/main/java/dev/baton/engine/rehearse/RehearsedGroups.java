package dev.baton.engine.rehearse;

import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.tensor.Device;
import dev.baton.tensor.parallel.PointToPoint;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/**
 * Groups on a modelled network: a rank's collectives share one link, what it sends from stage to stage leaves by that link
 * and comes by another, and so do the experts that it sends and gets when they move.
 */
final class RehearsedGroups implements CommunicatorSupplier {
    private final CommunicatorSupplier real;
    private final LinkModel model;
    private final IntFunction<Clock> clocks;

    /** @param clocks by which each rank of the replica lives */
    RehearsedGroups(CommunicatorSupplier real, LinkModel model, IntFunction<Clock> clocks) {
        this.real = real;
        this.model = model;
        this.clocks = clocks;
    }

    @Override
    public RankCommunicators join(int rank, Device device) {
        Clock clock = clocks.apply(rank);
        RankLink own = new RankLink(model, clock);
        RankCommunicators groups = real.join(rank, device)
                .map(member -> member.size() == 1
                        ? member
                        : new RankCommunicators.Member(
                                new RehearsedCommunicator(member.communicator(), own), member.ranks()));
        return groups.stages().size() == 1
                ? groups
                : groups.withStages(new RehearsedPointToPoint(groups.stages(), own, new RankLink(model, clock), clock));
    }

    @Override
    public Map<Integer, PointToPoint> openMessages(List<Integer> ranks, int depth, Duration deadline) {
        return real.openMessages(ranks, depth, deadline);
    }

    @Override
    public PointToPoint messages(PointToPoint inMemory) {
        Clock clock = clocks.apply(inMemory.rank());
        return new RehearsedPointToPoint(inMemory, new RankLink(model, clock), new RankLink(model, clock), clock);
    }
}
