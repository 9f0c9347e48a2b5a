package dev.baton.bench.forward;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** CPU time of the process, step by step: from the end of one step to the end of the next. */
final class CpuMeter {
    private final OperatingSystemMXBean process = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final List<Long> nanos = new ArrayList<>();
    private long last = process.getProcessCpuTime();

    /** A step has ended. */
    void step() {
        long now = process.getProcessCpuTime();
        nanos.add(now - last);
        last = now;
    }

    double seconds(int step) {
        return nanos.get(step) * 1e-9;
    }
}
