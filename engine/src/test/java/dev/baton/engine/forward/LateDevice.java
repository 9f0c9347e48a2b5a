package dev.baton.engine.forward;

import dev.baton.model.DType;
import dev.baton.tensor.Device;
import dev.baton.tensor.DeviceInfo;
import dev.baton.tensor.DeviceMark;
import dev.baton.tensor.Graph;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.cpu.CpuDevice;
import dev.baton.tensor.cpu.CpuKernels;
import dev.baton.tensor.cpu.CpuOptions;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * An asynchronous device without a GPU: nothing is done before somebody waits for it. It reads host memory as late as a GPU
 * may, and what it has not computed nobody can have seen.
 */
public final class LateDevice implements Device {
    /** Queued calls that a question whether a mark has passed lets run. */
    private static final int CALLS_A_QUESTION = 7;

    private final CpuDevice cpu = CpuDevice.open(CpuOptions.of(1));
    private final CpuDevice scalar = CpuDevice.open(CpuOptions.of(1).withKernels(CpuKernels.SCALAR));
    private final ArrayDeque<Runnable> queue = new ArrayDeque<>();
    private final List<MemorySegment> lasting = new ArrayList<>();
    private final Ops ops =
            (Ops) Proxy.newProxyInstance(LateDevice.class.getClassLoader(), new Class<?>[] {Ops.class}, this::call);
    private List<Runnable> recording;
    private long queued;
    private long done;
    private long sampledRows;
    private long most;

    private Object call(Object proxy, Method method, Object[] arguments) throws Throwable {
        boolean chooses = Set.of("sample", "beginStep", "endStep").contains(method.getName());
        Ops target = chooses ? scalar.ops() : cpu.ops();
        if (method.getReturnType() != void.class) {
            return method.invoke(target, arguments);
        }
        later(() -> {
            if (method.getName().equals("sample")) {
                sampledRows += ((Tensor) arguments[0]).rows();
            }
            try {
                method.invoke(target, arguments);
            } catch (IllegalAccessException | InvocationTargetException e) {
                throw new AssertionError(method.getName(), e.getCause());
            }
        });
        return null;
    }

    private void later(Runnable call) {
        if (recording != null) {
            recording.add(call);
            return;
        }
        queue.add(call);
        queued++;
        most = Math.max(most, queued - done);
    }

    private void runUntil(long count) {
        while (done < count) {
            queue.remove().run();
            done++;
        }
    }

    /** Rows that {@link Ops#sample} chose. */
    public long sampledRows() {
        return sampledRows;
    }

    /** Most calls that were queued at once. */
    public long mostQueued() {
        return most;
    }

    @Override
    public DeviceInfo info() {
        return new DeviceInfo("late", "nothing before its time", cpu.info().memoryBytes(), 0);
    }

    @Override
    public Ops ops() {
        return ops;
    }

    @Override
    public Tensor allocate(DType dtype, long... shape) {
        return cpu.allocate(dtype, shape);
    }

    @Override
    public Tensor place(String name, Tensor host) {
        return cpu.place(name, host);
    }

    @Override
    public void toDevice(MemorySegment host, Tensor target) {
        boolean read = lasting.stream().anyMatch(m -> m.asOverlappingSlice(host).isPresent());
        MemorySegment source =
                read ? host : MemorySegment.ofArray(host.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE));
        later(() -> cpu.toDevice(source, target));
    }

    @Override
    public void toHost(Tensor source, MemorySegment host) {
        synchronize();
        cpu.toHost(source, host);
    }

    @Override
    public MemorySegment hostBuffer(long bytes) {
        MemorySegment buffer = cpu.hostBuffer(bytes);
        lasting.add(buffer);
        return buffer;
    }

    @Override
    public boolean isAsynchronous() {
        return true;
    }

    @Override
    public DeviceMark mark() {
        return new DeviceMark() {
            private long at;

            @Override
            public void set() {
                at = queued;
            }

            @Override
            public boolean passed() {
                runUntil(Math.min(at, done + CALLS_A_QUESTION));
                return done >= at;
            }

            @Override
            public void await() {
                runUntil(at);
            }
        };
    }

    @Override
    public boolean capturesGraphs() {
        return true;
    }

    @Override
    public Graph capture(Runnable work) {
        List<Runnable> calls = new ArrayList<>();
        recording = calls;
        work.run();
        recording = null;
        return new Graph() {
            @Override
            public void launch() {
                calls.forEach(LateDevice.this::later);
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public void synchronize() {
        runUntil(queued);
    }

    @Override
    public void close() {
        synchronize();
        cpu.close();
        scalar.close();
    }
}
