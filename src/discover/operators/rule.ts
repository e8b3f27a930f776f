/**
 * The schema of what is known about operators: which images they start that no key names, and which ones they do not start. One
 * file of data for each vendor; `table.ts` lists them. A rule takes effect on a resource by its kind and API group.
 */
export interface OperatorRules {
  operator: string
  /** where this is written: repository, version, file */
  source: string
  /** the ends of the repository of the operator's own image, `minio/operator`: its tag is the operator's version */
  program?: string | readonly string[]
  /** values that are compiled into the operator */
  defaults?: Readonly<Record<string, Defaults>>
  /** the last version of the operator whose defaults are known; those of newer ones are undecided */
  knownTo?: string
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
  /** images that the operator starts whenever it is installed */
  starts?: readonly StartRule[]
  /** names of annotations and variables that list images of every version; a resource decides which one is started */
  catalogues?: readonly RegExp[]
  /** lists of images of which a resource chooses one */
  choices?: readonly ChoiceRule[]
  /** containers that an admission webhook adds to annotated pods */
  sidecars?: readonly SidecarRule[]
}

/**
 * The first version of the operator with a value, and the value, which may be a template; in the order of versions. Where the
 * operator starts nothing, the value is empty.
 */
export type Defaults = Readonly<Record<string, string>>

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
 * A template of an image. `{spec.version}` is a value of the resource, `{each.version}` one of the element; `{flag:--x}`, `{env:X}`
 * and `{setting:x}` are settings of the operator: an argument, a variable, a key of a ConfigMap or an annotation of pods in the same environment.
 * `{default:x}` is compiled into the operator; `{program}` is its own image, of which `{program.version}` is the tag without v,
 * `{program.tag}` the tag and `{program.folder}` what is before the last part of the name. `{in:Kind:spec.x}` is a value
 * of another resource; `{minor:a/b}` are the first two numbers in the tag of another image. `{a|b}` is b where a is absent; `{setting:x-[spec.version]}` has a value in its name, in `[spec.version:_]` with `_` for dots.
 */
export interface ComposeRule extends ResourceRule {
  image: string
  /** the operator does not compose an image if one of these holds */
  unless?: readonly Condition[]
  /** all have to hold, or the operator does not start this image */
  when?: Condition | readonly Condition[]
  /** path of a list or map: the operator starts the image for every element of it */
  each?: string
  /** a resource without which the operator starts nothing */
  beside?: ResourceRule
}

/**
 * `spec.backup.enabled`: the value is set, and not false. `spec.type=Flow` compares it, `spec.version^=1.24.` its start; `*` in a path is any element:
 * `spec.pools.*.image`. Keys that contain dots are in brackets: `metadata.annotations["a.b/c"]`.
 */
export type Condition = string

/** An entry of the list is not started if such resources exist in the environment, and none of them has its key. */
export interface ChoiceRule extends ResourceRule {
  /** path of the list: `spec.images`; in a text, the end of it */
  list: string
  /** key of an entry that a resource has as its value */
  key: string
  chosenBy: ResourceRule & { path: string }
}

/** As ComposeRule; the values are those of the workload that runs the operator. */
export interface StartRule {
  /** absent: which images it starts is nowhere in the rendering */
  image?: string
  /** part of a ConfigMap with which the image is another */
  unlessText?: string
}

/** The annotation is one of the pod, or of its namespace. */
export interface SidecarRule {
  annotation: string
  image: string
  /** values of the annotation with which nothing is added */
  off?: readonly string[]
  /** the operator's image is not used if such a resource has the value */
  unlessNamedBy?: ResourceRule & { path: string }
}

export interface UnseenRule extends ResourceRule {
  /** nothing is unseen unless it holds */
  when?: Condition
  /** nothing is unseen if one of these holds */
  unless?: readonly Condition[]
  /** start of the names of settings that contain the images */
  knownBy?: string
}

export interface InjectedRule {
  /** the placeholder in `image:` of a container */
  image: string
  /** text that a ConfigMap with the real image contains */
  knownBy: string
}
