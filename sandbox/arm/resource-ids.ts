import { REGION, RESOURCE_GROUP, SUBSCRIPTION_ID } from '../seed.ts';

/** ARM id of the resource group that holds both workspaces. */
export const resourceGroupId = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}`;

/** Id of the provider's location, under which long-running operations are polled. */
export const locationId = `/subscriptions/${SUBSCRIPTION_ID}/providers/Microsoft.MachineLearningServices/locations/${REGION}`;

/** ARM id of a workspace, whether it exists or not. */
export function workspaceIdOf(name: string): string {
  return `${resourceGroupId}/providers/Microsoft.MachineLearningServices/workspaces/${name}`;
}

/** ARM id of any resource group. */
export function resourceGroupIdOf(subscription: string, resourceGroup: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}`;
}
