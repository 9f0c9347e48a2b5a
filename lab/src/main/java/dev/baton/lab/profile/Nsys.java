package dev.baton.lab.profile;

import dev.baton.lab.LabException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Drives Nsight Systems through its command line; every command is printed before it runs. */
public final class Nsys {
    private static final long MINUTES = 10;

    private final String program;
    private final PrintStream console;

    /** @param program {@code nsys}, or where it lies */
    public Nsys(String program, PrintStream console) {
        this.program = program;
        this.console = console;
    }

    /**
     * Starts a program under a session that does not collect yet, and waits for its end, however long it serves.
     *
     * @return its exit status
     * @throws LabException INVALID_CONFIG when nsys is not there
     */
    public int launch(String session, List<String> command) throws InterruptedException {
        return begin(launchCommand(session, command)).waitFor();
    }

    /** The command that starts a program under a session that does not collect yet. */
    List<String> launchCommand(String session, List<String> command) {
        List<String> words = new java.util.ArrayList<>(List.of(
                program,
                "profile",
                "--start-later=true",
                "--session-new=" + session,
                "--trace=cuda,nvtx",
                "--cuda-graph-trace=node",
                "--trace-fork-before-exec=true"));
        words.addAll(command);
        return words;
    }

    /** Starts collecting in a session that is there. */
    public void start(String session, Path output) {
        run(List.of(program, "start", "--session=" + session, "--output=" + output, "--force-overwrite=true"));
    }

    /** Ends collecting; nsys writes the report. */
    public void stop(String session) {
        run(List.of(program, "stop", "--session=" + session));
    }

    /** Lists the sessions. */
    public void sessions() {
        run(List.of(program, "sessions", "list"));
    }

    /**
     * Runs a command with its output on this terminal.
     *
     * @throws LabException INVALID_CONFIG when nsys is not there, SERVER when it fails, TIMEOUT after ten minutes
     */
    public void run(List<String> command) {
        Process process = begin(command);
        try {
            if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
                process.destroy();
                throw new LabException(
                        LabException.Code.TIMEOUT, String.join(" ", command) + " did not end within 10 minutes");
            }
            if (process.exitValue() != 0) {
                throw new LabException(
                        LabException.Code.SERVER, String.join(" ", command) + " ended with " + process.exitValue());
            }
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new LabException(LabException.Code.INTERRUPTED, "interrupted while nsys ran", e);
        }
    }

    private Process begin(List<String> command) {
        console.println("+ " + String.join(" ", command));
        try {
            return new ProcessBuilder(command).inheritIO().start();
        } catch (IOException e) {
            throw new LabException(
                    LabException.Code.INVALID_CONFIG,
                    program + " is not on this machine (" + e.getMessage()
                            + "): install Nsight Systems, or leave --nsys away to use the servers' own profiler",
                    e);
        }
    }
}
