package dev.baton.app;

import dev.baton.engine.EngineException;
import dev.baton.lab.LabException;
import dev.baton.model.ModelException;
import dev.baton.protocol.ProtocolException;
import dev.baton.serve.ServeException;
import dev.baton.tensor.TensorException;
import dev.baton.trace.TraceException;
import picocli.CommandLine;

/** Tells a user's fault in one line and ours with a stack trace. */
final class Failures implements CommandLine.IExecutionExceptionHandler {
    @Override
    public int handleExecutionException(Exception fault, CommandLine command, CommandLine.ParseResult words) {
        if (isTold(fault)) {
            System.err.println("baton: " + fault.getMessage());
            return fault instanceof ProtocolException ? 2 : 1;
        }
        fault.printStackTrace();
        return 70;
    }

    private static boolean isTold(Exception fault) {
        return fault instanceof ProtocolException
                || fault instanceof LabException
                || fault instanceof EngineException e && e.code() != EngineException.Code.INTERNAL
                || fault instanceof TensorException
                || fault instanceof TraceException
                || fault instanceof ServeException
                || fault instanceof ModelException;
    }
}
