package dev.baton.bench.serve;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What {@code /proc} says of one process. */
record Proc(long pid) {
    private static final double TICKS_A_SECOND = 100;

    /** CPU seconds. */
    record Cpu(double user, double system) {
        double total() {
            return user + system;
        }

        Cpu since(Cpu before) {
            return new Cpu(user - before.user, system - before.system);
        }
    }

    /** CPU of the process so far. */
    Cpu cpu() throws IOException {
        String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return new Cpu(Long.parseLong(fields[11]) / TICKS_A_SECOND, Long.parseLong(fields[12]) / TICKS_A_SECOND);
    }

    double cpuSeconds() throws IOException {
        return cpu().total();
    }

    /** Resident memory in MiB. */
    double residentMebibytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024.0;
            }
        }
        throw new IOException("no VmRSS of process " + pid);
    }

    /** The machine's load averages. */
    static String load() throws IOException {
        return Files.readString(Path.of("/proc/loadavg")).strip();
    }
}
