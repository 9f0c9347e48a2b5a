package dev.baton.engine.arch;

import dev.baton.model.DType;

/**
 * A buffer of a step's workspace: up to as many rows as the workspace has, {@code columns} wide. Blocks that never run
 * at the same time share a buffer by its name.
 *
 * @param index which buffer of the workspace
 * @param columns width of this user's view, at most the buffer's own
 * @param fixedRows rows that it has whatever the workspace has; 0 for as many
 */
public record BufferSpec(int index, String name, DType dtype, int columns, int fixedRows) {}
