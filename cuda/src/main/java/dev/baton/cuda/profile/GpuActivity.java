package dev.baton.cuda.profile;

import dev.baton.cuda.driver.Gpu;
import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.TensorException;
import java.util.ArrayList;
import java.util.List;

/** One GPU's kernels, copies and the calls behind them, by CUPTI. */
public final class GpuActivity implements DeviceActivity {
    private static final int CLOCK_READINGS = 5;

    private final Gpu gpu;
    /** {@link System#nanoTime} less CUPTI's clock. */
    private long offsetNanos;

    public GpuActivity(Gpu gpu) {
        this.gpu = gpu;
    }

    @Override
    public void start() {
        try {
            offsetNanos = offset();
            Cupti.begin();
        } catch (ExceptionInInitializerError e) {
            if (e.getCause() instanceof TensorException missing) {
                throw missing;
            }
            throw e;
        } catch (NoClassDefFoundError e) {
            throw new TensorException(TensorException.Code.UNAVAILABLE, "CUPTI could not be loaded", e);
        }
    }

    /** Of several readings the one between the two closest times. */
    private static long offset() {
        long closest = Long.MAX_VALUE;
        long offset = 0;
        for (int i = 0; i < CLOCK_READINGS; i++) {
            long before = System.nanoTime();
            long there = Cupti.timestamp();
            long after = System.nanoTime();
            if (after - before < closest) {
                closest = after - before;
                offset = before + (after - before) / 2 - there;
            }
        }
        return offset;
    }

    @Override
    public List<DeviceSpan> stop() {
        gpu.synchronize();
        List<DeviceSpan> spans = new ArrayList<>();
        for (ActivityRecord record : Cupti.end(gpu.info().ordinal())) {
            DeviceSpan s = record.span();
            spans.add(new DeviceSpan(
                    s.kind(),
                    s.name(),
                    s.startNanos() + offsetNanos,
                    s.endNanos() + offsetNanos,
                    gpu.info().ordinal(),
                    s.stream(),
                    s.correlation(),
                    s.grid(),
                    s.block(),
                    s.registers(),
                    s.sharedBytes(),
                    s.bytes()));
        }
        return spans;
    }

    @Override
    public void outsideProfiler(boolean on) {
        gpu.outsideProfiler(on);
    }
}
