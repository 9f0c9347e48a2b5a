/** What the packages of this module share: element types and the module's exception. */
@NullMarked
package dev.baton.model;

import org.jspecify.annotations.NullMarked;
