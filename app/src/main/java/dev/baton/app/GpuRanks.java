package dev.baton.app;

import dev.baton.cuda.CudaDevice;
import dev.baton.cuda.CudaOptions;
import dev.baton.cuda.nccl.NcclGroup;
import dev.baton.engine.arch.RankCommunicators;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.DeviceSupplier;
import dev.baton.engine.parallel.ParallelShape;
import dev.baton.tensor.Device;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import dev.baton.tensor.parallel.LocalCommunicator;
import dev.baton.tensor.parallel.LocalPointToPoint;
import dev.baton.tensor.parallel.PointToPoint;
import dev.baton.tensor.parallel.Transfer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntFunction;

/** One replica's ranks on GPUs, a thread each: collectives by NCCL, messages between stages by copies between GPUs. */
final class GpuRanks implements ReplicaRanks {
    private final IntFunction<CudaOptions> options;
    private final ParallelShape shape;
    private final Duration deadline;
    /** By rank; what a rank's groups are joined for, whatever the device has been wrapped in. */
    private final Map<Integer, CudaDevice> devices = new ConcurrentHashMap<>();

    private final Map<List<Integer>, NcclGroup> groups = new ConcurrentHashMap<>();
    /** By place in the stage, then stage. */
    private final List<List<PointToPoint>> stages = new ArrayList<>();

    /**
     * @param options of each rank's device
     * @param stageMessages messages that may be under way from one pipeline stage to another
     * @param deadline how long a rank waits for the others where the host waits
     */
    GpuRanks(IntFunction<CudaOptions> options, ParallelShape shape, int stageMessages, Duration deadline) {
        this.options = options;
        this.shape = shape;
        this.deadline = deadline;
        for (int inStage = 0; inStage < shape.tensorParallel(); inStage++) {
            stages.add(LocalPointToPoint.group(shape.pipelineParallel(), stageMessages, deadline, CudaDevice::move));
        }
    }

    @Override
    public DeviceSupplier devices() {
        return (rank, size) -> {
            CudaDevice device = CudaDevice.open(options.apply(rank));
            devices.put(rank, device);
            return device;
        };
    }

    @Override
    public CommunicatorSupplier communicators() {
        return (rank, device) -> {
            CudaDevice mine = Objects.requireNonNull(devices.get(rank), "the rank's device is open");
            RankCommunicators own = CommunicatorSupplier.of(shape, rank, members -> join(members, rank, mine));
            if (shape.pipelineParallel() == 1) {
                return own;
            }
            return own.withStages(
                    new Messages(stages.get(shape.tensorRankOf(rank)).get(shape.stageOf(rank)), mine));
        };
    }

    private Communicator join(List<Integer> members, int rank, CudaDevice device) {
        if (members.size() == 1) {
            return LocalCommunicator.group(1, deadline).getFirst();
        }
        return device.join(
                groups.computeIfAbsent(members, m -> new NcclGroup(m.size(), deadline)), members.indexOf(rank));
    }

    /**
     * Messages of a GPU's tensors: the rank's queue is waited for before a message is posted, so that what is sent is
     * written and nothing reads a buffer any more when the other side copies.
     */
    private record Messages(PointToPoint links, Device device) implements PointToPoint {
        @Override
        public int rank() {
            return links.rank();
        }

        @Override
        public int size() {
            return links.size();
        }

        @Override
        public int depth() {
            return links.depth();
        }

        @Override
        public Transfer send(int peer, List<Tensor> message) {
            device.synchronize();
            return links.send(peer, message);
        }

        @Override
        public Transfer receive(int peer, List<Tensor> buffers) {
            device.synchronize();
            return links.receive(peer, buffers);
        }

        @Override
        public void abort(Throwable cause) {
            links.abort(cause);
        }

        @Override
        public void close() {
            links.close();
        }
    }
}
