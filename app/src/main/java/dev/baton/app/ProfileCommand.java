package dev.baton.app;

import dev.baton.lab.LabException;
import dev.baton.lab.profile.Condition;
import dev.baton.lab.profile.Nsys;
import dev.baton.lab.profile.ProfileTargets;
import dev.baton.lab.profile.RankLoads;
import dev.baton.lab.profile.TraceCollector;
import dev.baton.lab.profile.Watch;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code baton profile}: records windows of running servers, by hand, repeatedly, or when ranks drift apart. */
@Command(
        name = "profile",
        description = "Records profile windows of running servers and collects their traces.",
        mixinStandardHelpOptions = true,
        subcommands = {
            ProfileCommand.Launch.class,
            ProfileCommand.Start.class,
            ProfileCommand.Stop.class,
            ProfileCommand.Window.class,
            ProfileCommand.WatchRanks.class,
            CommandLine.HelpCommand.class
        })
final class ProfileCommand implements Runnable {
    /** A server that sleeps or writes a trace answers late. */
    private static final Duration PATIENT = Duration.ofMinutes(10);

    @Spec
    CommandSpec spec;

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }

    /** Which servers, and how nsys is called where it is asked for. */
    static final class Servers {
        @Parameters(
                arity = "0..*",
                paramLabel = "URL",
                description = "servers, or a router that stands for its workers")
        List<URI> urls = List.of();

        @Option(names = "--nsys", description = "drive Nsight Systems instead of the servers' own profiler")
        boolean nsys;

        @Option(names = "--session", description = "nsys session (default: ${DEFAULT-VALUE})")
        String session = "baton";

        @Option(names = "--nsys-path", description = "where nsys lies (default: ${DEFAULT-VALUE})")
        String program = "nsys";

        ProfileTargets open() {
            if (urls.isEmpty()) {
                throw new LabException(
                        LabException.Code.INVALID_CONFIG, "no server named: give URLs, or --nsys for a local session");
            }
            return ProfileTargets.of(urls);
        }

        Nsys tool() {
            return new Nsys(program, System.out);
        }

        /** A window of an nsys session, by time: nsys knows nothing of a server's steps. */
        void nsysWindow(Recording recording, int number, double seconds) throws InterruptedException {
            Path folder = recording.folder;
            tool().start(session, (folder == null ? Path.of(".") : folder).resolve("window-" + number));
            Thread.sleep(Duration.ofMillis(Math.round(1000 * seconds)));
            tool().stop(session);
        }
    }

    /** What a window records and where its traces go. */
    static final class Recording {
        @Option(names = "--output-dir", paramLabel = "DIR", description = "folder on the servers' hosts")
        @Nullable
        Path folder;

        @Option(names = "--collect", paramLabel = "DIR", description = "copy the traces here once they are whole")
        @Nullable
        Path collect;

        @Option(names = "--ranks", description = "traces to wait for (default: 1)")
        int ranks = 1;

        @Option(
                names = "--activities",
                split = ",",
                description = "CPU,GPU,MEM,CUDA_PROFILER,OPERATORS (default: CPU,GPU)")
        List<String> activities = List.of("CPU", "GPU");

        @Option(names = "--by-stage", description = "prefill and decode apart (needs steps)")
        boolean byStage;

        @Option(names = "--no-stack", description = "leave Python stacks away: smaller traces that slow less")
        boolean noStack;

        @Option(names = "--prefix", description = "put in front of the file names")
        String prefix = "";

        Map<String, Object> request(@Nullable Integer steps) {
            Map<String, Object> fields = new LinkedHashMap<>();
            if (folder != null) {
                fields.put("output_dir", folder.toString());
            }
            if (steps != null) {
                fields.put("num_steps", steps);
            }
            fields.put("activities", activities);
            if (byStage) {
                fields.put("profile_by_stage", true);
            }
            if (noStack) {
                fields.put("with_stack", false);
            }
            if (!prefix.isEmpty()) {
                fields.put("profile_prefix", prefix);
            }
            return fields;
        }

        @Nullable
        TraceCollector watching() {
            return folder == null ? null : TraceCollector.watching(folder);
        }

        void collect(@Nullable TraceCollector collector, Duration deadline) throws InterruptedException {
            if (collector == null) {
                System.out.println("the traces lie on the servers' hosts; with --output-dir on a shared folder they are"
                        + " waited for");
                return;
            }
            List<Path> files = collector.await(ranks, deadline);
            (collect == null ? files : TraceCollector.copy(files, collect)).forEach(System.out::println);
        }

        /** Starts recording and says where, and where somebody else's window is open; false when that is so everywhere. */
        boolean start(ProfileTargets targets, @Nullable Integer steps) throws InterruptedException {
            ProfileTargets.Started started = targets.start(request(steps), PATIENT);
            started.recording().forEach(s -> System.out.println("recording " + s));
            started.already()
                    .forEach(s ->
                            System.out.println(s + " records already, and goes on with that window; to end it: baton"
                                    + " profile stop " + s));
            return !started.recording().isEmpty();
        }

        /** Starts a window of some steps everywhere, waits for its files. */
        void window(ProfileTargets targets, int steps, Duration deadline) throws InterruptedException {
            TraceCollector collector = watching();
            if (!start(targets, steps)) {
                throw new LabException(
                        LabException.Code.SERVER, "every server records already: no window of ours was opened");
            }
            try {
                collect(collector, deadline);
            } finally {
                if (collector != null) {
                    targets.stopIdle(PATIENT)
                            .forEach(s -> System.out.println(
                                    s + " ran nothing: its window was ended, its trace holds no steps"));
                }
            }
        }
    }

    @Command(
            name = "launch",
            mixinStandardHelpOptions = true,
            description =
                    "Starts a program under Nsight Systems without recording yet; start, stop, window and watch with"
                            + " --nsys record it.")
    static final class Launch implements Callable<Integer> {
        @Option(names = "--session", description = "name of the new nsys session (default: ${DEFAULT-VALUE})")
        String session = "baton";

        @Option(names = "--nsys-path", description = "where nsys lies (default: ${DEFAULT-VALUE})")
        String program = "nsys";

        @Parameters(arity = "1..*", paramLabel = "-- COMMAND", description = "the program with its arguments")
        List<String> command = List.of();

        @Override
        public Integer call() throws InterruptedException {
            return new Nsys(program, System.out).launch(session, command);
        }
    }

    @Command(name = "start", mixinStandardHelpOptions = true, description = "Starts recording.")
    static final class Start implements Callable<Integer> {
        @Mixin
        Servers servers = new Servers();

        @Mixin
        Recording recording = new Recording();

        @Option(names = "--steps", description = "stop by itself after so many steps")
        @Nullable
        Integer steps;

        @Override
        public Integer call() throws InterruptedException {
            if (servers.nsys) {
                Path folder = recording.folder;
                servers.tool().start(servers.session, (folder == null ? Path.of(".") : folder).resolve("baton-%p"));
                return 0;
            }
            try (ProfileTargets targets = servers.open()) {
                return recording.start(targets, steps) ? 0 : 1;
            }
        }
    }

    @Command(name = "stop", mixinStandardHelpOptions = true, description = "Ends recording and waits for the traces.")
    static final class Stop implements Callable<Integer> {
        @Mixin
        Servers servers = new Servers();

        @Mixin
        Recording recording = new Recording();

        @Option(names = "--timeout", description = "seconds to wait for the traces (default: ${DEFAULT-VALUE})")
        int seconds = 300;

        @Override
        public Integer call() throws InterruptedException {
            if (servers.nsys) {
                servers.tool().stop(servers.session);
                return 0;
            }
            try (ProfileTargets targets = servers.open()) {
                TraceCollector collector = recording.watching();
                targets.all(s -> s.post("/stop_profile", "{}", PATIENT));
                recording.collect(collector, Duration.ofSeconds(seconds));
            }
            return 0;
        }
    }

    @Command(
            name = "window",
            mixinStandardHelpOptions = true,
            description = "Records windows of some steps, once or repeatedly.")
    static final class Window implements Callable<Integer> {
        @Mixin
        Servers servers = new Servers();

        @Mixin
        Recording recording = new Recording();

        @Option(names = "--steps", description = "steps of a window (default: ${DEFAULT-VALUE})")
        int steps = 5;

        @Option(names = "--repeat", description = "windows (default: ${DEFAULT-VALUE})")
        int repeat = 1;

        @Option(names = "--every", description = "seconds from one window's end to the next one's start")
        double every = 10;

        @Option(names = "--seconds", description = "length of an nsys window (default: ${DEFAULT-VALUE})")
        double seconds = 0.5;

        @Option(names = "--timeout", description = "seconds to wait for the traces (default: ${DEFAULT-VALUE})")
        int timeout = 300;

        @Override
        public Integer call() throws InterruptedException {
            if (servers.nsys) {
                servers.tool().sessions();
                for (int i = 0; i < repeat; i++) {
                    pause(i);
                    servers.nsysWindow(recording, i, seconds);
                }
                return 0;
            }
            try (ProfileTargets targets = servers.open()) {
                for (int i = 0; i < repeat; i++) {
                    pause(i);
                    recording.window(targets, steps, Duration.ofSeconds(timeout));
                }
            }
            return 0;
        }

        private void pause(int window) throws InterruptedException {
            if (window > 0) {
                Thread.sleep(Duration.ofMillis(Math.round(1000 * every)));
            }
        }
    }

    @Command(
            name = "watch",
            mixinStandardHelpOptions = true,
            description = "Shows the ranks' load live and records a window when a condition has held.")
    static final class WatchRanks implements Callable<Integer> {
        @Mixin
        Servers servers = new Servers();

        @Mixin
        Recording recording = new Recording();

        @Option(
                names = "--when",
                required = true,
                paramLabel = "CONDITION",
                description = "imbalance|running|waiting|throughput > or < NUMBER [for SECONDS s]")
        String when = "";

        @Option(
                names = "--log",
                arity = "1..*",
                paramLabel = "FILE",
                description = "follow the servers' logs instead of asking the servers")
        List<Path> logs = List.of();

        @Option(names = "--steps", description = "steps of the window (default: ${DEFAULT-VALUE})")
        int steps = 5;

        @Option(names = "--every", description = "seconds between readings (default: ${DEFAULT-VALUE})")
        double every = 1;

        @Option(names = "--seconds", description = "length of an nsys window (default: ${DEFAULT-VALUE})")
        double seconds = 0.5;

        @Option(names = "--timeout", description = "seconds to watch at most (default: ${DEFAULT-VALUE})")
        int timeout = 3600;

        @Override
        public Integer call() throws InterruptedException {
            Condition condition = Condition.parse(when);
            boolean isTerminal = System.console() != null && System.console().isTerminal();
            try (ProfileTargets targets = servers.open()) {
                boolean came = Watch.until(
                        condition,
                        () -> logs.isEmpty() ? RankLoads.read(targets) : RankLoads.read(logs),
                        Duration.ofMillis(Math.round(1000 * every)),
                        Duration.ofSeconds(timeout),
                        loads -> System.out.print((isTerminal ? "\u001b[H\u001b[2J" : "") + loads.dashboard()));
                if (!came) {
                    System.out.println("\"" + when + "\" did not come true within " + timeout + " s: nothing recorded");
                    return 1;
                }
                System.out.println("\"" + when + "\" came true: recording "
                        + (servers.nsys ? seconds + " s with nsys" : steps + " steps"));
                if (servers.nsys) {
                    servers.nsysWindow(recording, 0, seconds);
                } else {
                    recording.window(targets, steps, Duration.ofMinutes(5));
                }
            }
            return 0;
        }
    }
}
