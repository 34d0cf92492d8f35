/* Short names for what the contract defines. Nothing is described here a second time. */
import type { components, operations } from './schema.gen';

type Schemas = components['schemas'];
type Query<K extends keyof operations> = NonNullable<operations[K]['parameters']['query']>;

export type Node = Schemas['InfrastructureNode'];
export type NodeCreate = Schemas['NodeCreate'];
export type NodeUpdate = Schemas['NodeUpdate'];
export type Service = Schemas['ServiceInstance'];
export type ServiceRequest = Schemas['ServiceDeploymentRequest'];
export type ServiceUpdate = Schemas['ServiceUpdateRequest'];
export type ServiceDeployed = Schemas['ServiceDeploymentReply'];
export type ServiceLogs = Schemas['ServiceLogs'];
export type Deployment = Schemas['DeploymentEvent'];
export type DeploymentAnalytics = Schemas['DeploymentList']['analytics'];
export type Release = Schemas['Release'];
export type Plan = Schemas['Plan'];
export type Job = Schemas['Job'];
export type JobState = Schemas['JobState'];
export type Schedule = Schemas['Schedule'];
export type Secret = Schemas['Secret'];
export type Registry = Schemas['Registry'];
export type Metric = Schemas['MonitoringMetric'];
export type QueryReply = Schemas['QueryReply'];
export type MetricQuery = Query<'queryMetrics'>;
export type Session = Schemas['Session'];
export type Credentials = Schemas['SessionCreate'];
export type ApiKey = Schemas['ApiKey'];
export type KeyCreate = Schemas['KeyCreate'];
export type KeyCreated = Schemas['KeyCreated'];
export type AuditEntry = Schemas['AuditEntry'];
export type AuditVerification = Schemas['AuditVerification'];
export type Setting = Schemas['Setting'];
export type System = Schemas['System'];
export type Problem = Schemas['Problem'];
export type Role = Schemas['Role'];
export type ApiErrorBody = Schemas['ApiError'];
