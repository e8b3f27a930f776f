/**
 * The schema of what is known about operators: which images they start that no key names, and which ones they do not start. One
 * file of data for each vendor; `table.ts` lists them. A rule takes effect on a resource by its kind and API group.
 */
export interface OperatorRules {
  operator: string
  /** where this is written: repository, version, file */
  source: string
  /** parts of a resource that are started only under a condition elsewhere in it */
  gates?: readonly GateRule[]
  /** variables of the operator whose image is started only under a condition in a resource */
  variableGates?: readonly VariableGateRule[]
  /** parts to whose tag the operator appends the OS of each node: one image for each OS of the site */
  perNode?: readonly PartRule[]
  /** images that the operator composes from a resource */
  composes?: readonly ComposeRule[]
  /** resources for which the operator chooses an image by itself */
  unseen?: readonly UnseenRule[]
  /** placeholders that an admission webhook replaces by an image */
  injected?: readonly InjectedRule[]
}

export interface ResourceRule {
  kind: string
  /** API group; absent: any */
  group?: string
}

export interface PartRule extends ResourceRule {
  /** paths of the parts: `spec.driver` */
  parts: readonly string[]
}

export interface GateRule extends PartRule {
  /** path of the condition; absent: never started where this product installs */
  gate?: string
  /** the value with which the parts are started */
  open?: boolean
  /** the condition in words, if no path expresses it */
  reason?: string
}

export interface VariableGateRule extends ResourceRule {
  /** name of the operator's variable */
  variable: string
  /** path in the resource; the image is not started if it is false */
  gate: string
}

/**
 * A template of an image. `{spec.version}` is a value of the resource; `{flag:--x}`, `{env:X}` and `{setting:x}` are settings of
 * the operator: an argument, a variable, a key of a ConfigMap in the same environment. `{a|b}` is b where a is absent.
 */
export interface ComposeRule extends ResourceRule {
  image: string
  /** paths; the operator does not compose an image if one of them is set */
  unless?: readonly string[]
  /** path without which the operator does not start this image */
  when?: string
}

export interface UnseenRule extends ResourceRule {
  /** paths; nothing is unseen if one of them is set */
  unless?: readonly string[]
  /** start of the names of settings that contain the images */
  knownBy?: string
}

export interface InjectedRule {
  /** the placeholder in `image:` of a container */
  image: string
  /** text that a ConfigMap with the real image contains */
  knownBy: string
}
